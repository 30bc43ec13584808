using System.Text.Json.Nodes;
using SaeService.Checkpoints;
using SaeService.TestSupport;

namespace SaeService.Transformers.Tests;

/// <summary>A fixture's model folder, changed: other names, other switches, other weights; to be loaded and compared with the fixture's expected values.</summary>
internal sealed class Variant : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _expected;

    public Variant(string fixture)
    {
        var path = SharedData.Require($"fixtures/transformers/{fixture}");
        _expected = Path.Combine(path, "expected.safetensors");
        Config = JsonNode.Parse(File.ReadAllText(Path.Combine(path, "config.json")))!.AsObject();
        using var weights = WeightSet.Open(path);
        foreach (var name in weights.Names)
            Tensors[name] = (weights.Entry(name).Shape, weights.FileOf(name).Floats(name));
    }

    public JsonObject Config { get; }

    public Dictionary<string, (long[] Shape, float[] Values)> Tensors { get; private set; } = new(StringComparer.Ordinal);

    /// <summary>Tensors that are no weights, as they are to be stored.</summary>
    public List<TensorSource> Buffers { get; } = [];

    public Variant With(string key, JsonNode? value)
    {
        Config[key] = value;
        return this;
    }

    public Variant Without(params string[] keys)
    {
        foreach (var key in keys)
            Config.Remove(key);
        return this;
    }

    public Variant Rename(Func<string, string> to)
    {
        Tensors = Tensors.ToDictionary(t => to(t.Key), t => t.Value, StringComparer.Ordinal);
        return this;
    }

    public Variant Add(string name, long[] shape, Func<int, float> value)
    {
        Tensors[name] = (shape, [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(value)]);
        return this;
    }

    public Variant Copy(string name, string from)
    {
        Tensors[name] = Tensors[from];
        return this;
    }

    /// <summary>Changes every tensor whose name ends so: value by block and flat index.</summary>
    public Variant Edit(string suffix, Func<int, int, float, float> value)
    {
        foreach (var name in Tensors.Keys.Where(n => n.EndsWith(suffix, StringComparison.Ordinal)).ToArray())
        {
            var block = name.Split('.').Select(part => int.TryParse(part, out var l) ? l : -1).Max();
            Tensors[name] = (Tensors[name].Shape, [.. Tensors[name].Values.Select((v, i) => value(block, i, v))]);
        }
        return this;
    }

    public ModelFolder Folder()
    {
        File.WriteAllText(_folder.File("config.json"), Config.ToJsonString());
        SafetensorsWriter.Write(_folder.File("model.safetensors"), [.. Tensors.Select(t => TensorSource.Of<float>(t.Key, DType.F32, t.Value.Shape, t.Value.Values)), .. Buffers]);
        return ModelFolder.Open(_folder.Path);
    }

    public LanguageModel Load() => LanguageModel.Load(Folder());

    /// <summary>Against the fixture's values, in float64 so that 1e-6 means equal.</summary>
    public IReadOnlyList<GoldenError> Errors()
    {
        using var model = LanguageModel.Load(Folder(), dtype: TorchSharp.torch.ScalarType.Float64);
        using var expected = SafetensorsFile.Open(_expected);
        return GoldenComparison.Run(model, expected);
    }

    /// <summary>The fixture's inputs: ids, mask and, where there are any, token types.</summary>
    public (long[,] Ids, long[,] Mask) Inputs()
    {
        using var expected = SafetensorsFile.Open(_expected);
        return (expected.Matrix("input_ids"), expected.Matrix("attention_mask"));
    }

    public void Dispose() => _folder.Dispose();

    public static TensorSource Buffer<T>(string name, DType dtype, long[] shape, params T[] values) where T : unmanaged => TensorSource.Of<T>(name, dtype, shape, values);
}
