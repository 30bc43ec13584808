using SaeService.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>How a tensor starts when a model is made rather than loaded.</summary>
public enum Init
{
    Normal,
    Ones,
    Zeros,
}

/// <summary>A tensor that a family needs, by the name that checkpoints of that family give it.</summary>
public sealed record TensorSpec(string Name, long[] Shape, Init Init)
{
    public long Elements => Shape.Aggregate(1L, (product, dimension) => checked(product * dimension));
}

/// <summary>The tensors of a model by name, float32, in the order in which the family lists them.</summary>
public sealed class ParameterSet : IDisposable
{
    // Elements copied at a time: a span holds less than 2 GiB.
    private const long Piece = 1 << 26;

    private readonly OrderedDictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);

    public Tensor this[string name] => _tensors[name];

    public IEnumerable<(string Name, Tensor Value)> All => _tensors.Select(t => (t.Key, t.Value));

    /// <summary>
    /// Reads the tensors of a checkpoint. Before anything is allocated, all that the family needs must be there with its shape and a floating type,
    /// and nothing else may be there but what <paramref name="ignored"/> allows.
    /// </summary>
    /// <param name="weights">The checkpoint.</param>
    /// <param name="specs">What the family needs.</param>
    /// <param name="ignored">Names that a checkpoint may hold and the model does not use.</param>
    /// <param name="prefix">Prefix of the names in specs that a checkpoint of the bare model leaves out.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <exception cref="CheckpointException">Naming the file and the tensor.</exception>
    public static ParameterSet Load(WeightSet weights, IReadOnlyList<TensorSpec> specs, Func<string, bool> ignored, string prefix, Device device)
    {
        var bare = specs.Where(s => s.Name.StartsWith(prefix, StringComparison.Ordinal)).All(s => !weights.Contains(s.Name));
        string Stored(string name) => bare && name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name;
        foreach (var spec in specs)
            Check(weights, Stored(spec.Name), spec.Shape);
        var needed = specs.Select(s => Stored(s.Name)).ToHashSet(StringComparer.Ordinal);
        if (weights.Names.Order(StringComparer.Ordinal).FirstOrDefault(name => !needed.Contains(name) && !ignored(name)) is { } surplus)
            throw new CheckpointException(CheckpointFault.Invalid, weights.FileOf(surplus).Path, surplus, "the config asks for no such tensor");

        var set = new ParameterSet();
        try
        {
            foreach (var spec in specs)
                set._tensors.Add(spec.Name, Read(weights.FileOf(Stored(spec.Name)), Stored(spec.Name), spec.Shape, device));
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>Fresh tensors that require gradients: N(0, std), ones or zeros as each spec says. A tensor's values depend on the seed, its name and its size only.</summary>
    public static ParameterSet Create(IReadOnlyList<TensorSpec> specs, double std, int seed, Device device)
    {
        var set = new ParameterSet();
        foreach (var spec in specs)
        {
            using var scope = NewDisposeScope();
            var values = new float[spec.Elements];
            if (spec.Init == Init.Normal)
                NormalNumbers.Fill(values, std, seed, spec.Name);
            else if (spec.Init == Init.Ones)
                values.AsSpan().Fill(1);
            // A Parameter, which is what TorchSharp's optimizers take.
            set._tensors.Add(spec.Name, new Parameter(tensor(values, spec.Shape).to(device), requires_grad: true).DetachFromDisposeScope());
        }
        return set;
    }

    /// <summary>Writes all tensors as float32 safetensors.</summary>
    public void Save(string path) =>
        SafetensorsWriter.Write(path, _tensors.Select(t => new TensorSource(t.Key, DType.F32, t.Value.shape, stream => Write(t.Value, stream))),
            new Dictionary<string, string> { ["format"] = "pt" });

    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
            tensor.Dispose();
    }

    private static void Check(WeightSet weights, string name, long[] shape)
    {
        var entry = weights.Entry(name);
        if (!entry.DType.IsWeight())
            throw new CheckpointException(CheckpointFault.Invalid, weights.FileOf(name).Path, name, $"is stored as {entry.DType}, not as F32, F16, BF16 or F64");
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
            throw new CheckpointException(CheckpointFault.Invalid, weights.FileOf(name).Path, name,
                $"has shape {entry.ShapeText}, the config asks for {TensorEntry.TextOf(shape)}");
    }

    private static Tensor Read(SafetensorsFile file, string name, long[] shape, Device device)
    {
        using var scope = NewDisposeScope();
        var entry = file.Tensors[name];
        var stored = empty(shape, entry.DType switch
        {
            DType.F16 => ScalarType.Float16,
            DType.BF16 => ScalarType.BFloat16,
            DType.F64 => ScalarType.Float64,
            _ => ScalarType.Float32,
        });
        var flat = stored.view(-1);
        for (long at = 0; at < entry.Elements; at += Piece)
        {
            var count = Math.Min(Piece, entry.Elements - at);
            using var piece = flat.narrow(0, at, count);
            file.Bytes(name, at * entry.DType.Size(), (int)count * entry.DType.Size()).CopyTo(piece.bytes);
        }
        return stored.to(ScalarType.Float32, device).DetachFromDisposeScope();
    }

    private static void Write(Tensor value, Stream stream)
    {
        using var scope = NewDisposeScope();
        var flat = value.detach().cpu().to(ScalarType.Float32).contiguous().view(-1);
        for (long at = 0; at < flat.shape[0]; at += Piece)
            stream.Write(flat.narrow(0, at, Math.Min(Piece, flat.shape[0] - at)).bytes);
    }
}
