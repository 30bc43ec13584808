using SaeService.Checkpoints;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>The comparison finds what was planted, where it was planted, and passes nothing that it did not compare.</summary>
public sealed class GoldenComparisonTests
{
    private static IReadOnlyList<GoldenError> Compare(Action<Dictionary<string, TensorSource>> change, string fixture = "bert-default")
    {
        var path = SharedData.Require($"fixtures/transformers/{fixture}");
        using var folder = new TemporaryFolder();
        using (var expected = SafetensorsFile.Open(Path.Combine(path, "expected.safetensors")))
        {
            var tensors = expected.Tensors.Values.ToDictionary(t => t.Name, t => new TensorSource(t.Name, t.DType, t.Shape, Bytes(expected, t.Name)));
            change(tensors);
            SafetensorsWriter.Write(folder.File("expected.safetensors"), tensors.Values);
        }
        using var changed = SafetensorsFile.Open(folder.File("expected.safetensors"));
        using var model = LanguageModel.Load(ModelFolder.Open(path));
        return GoldenComparison.Run(model, changed);
    }

    private static Action<Stream> Bytes(SafetensorsFile file, string name)
    {
        var bytes = file.Bytes(name).ToArray();
        return stream => stream.Write(bytes);
    }

    private static Action<Dictionary<string, TensorSource>> Planted(string name, Func<int, float, float> value) => tensors =>
    {
        using var stream = new MemoryStream();
        tensors[name].WriteTo(stream);
        var floats = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(stream.ToArray()).ToArray();
        tensors[name] = TensorSource.Of<float>(name, DType.F32, tensors[name].Shape, floats.Select((v, i) => value(i, v)).ToArray());
    };

    /// <summary>mlp_act is [3, 3, 12, 72]; row 0 of the batch has no padding.</summary>
    [Fact]
    public void An_error_is_found_in_its_layer_and_only_there()
    {
        var one = Compare(Planted("mlp_act", (i, v) => i == 3 * 12 * 72 + 5 ? v + 0.01f : v));
        var wrong = Assert.Single(one, e => !e.Passes(2e-5));
        Assert.Equal(("mlp_act", 1), (wrong.Tensor, wrong.Layer));
        Assert.True(wrong.Passes(1));
        Assert.False(Assert.Single(Compare(Planted("mlp_act", (i, v) => i == 0 ? float.NaN : v)), e => !e.Passes(2e-5)).Passes(double.MaxValue));
    }

    [Fact]
    public void Padding_is_not_compared()
    {
        var mask = Reading.Longs(SafetensorsFile.Open(SharedData.Require("fixtures/transformers/bert-default/expected.safetensors")), "attention_mask");
        Assert.Contains(0, mask);
        Assert.All(Compare(Planted("resid_post", (i, v) => mask[i / 32 % 36] == 0 ? float.NaN : v)), e => Assert.True(e.Passes(2e-5)));
        Assert.All(Compare(Planted("attn_pattern", (i, v) => mask[i / (4 * 12 * 12) % 3 * 12 + i / 12 % 12] == 0 ? 9 : v)), e => Assert.True(e.Passes(2e-5)));
    }

    [Fact]
    public void What_cannot_be_compared_fails_with_a_reason()
    {
        var errors = Compare(tensors =>
        {
            tensors["mystery"] = TensorSource.Of<float>("mystery", DType.F32, [2], new float[2]);
            tensors["counts"] = TensorSource.Of<long>("counts", DType.I64, [2], new long[2]);
            tensors["final_norm"] = TensorSource.Of<float>("final_norm", DType.F32, [2], new float[2]);
            tensors["logits"] = TensorSource.Of<float>("logits", DType.F32, [3, 12, 130], new float[3 * 12 * 130]);
            tensors["attn_z"] = TensorSource.Of<float>("attn_z", DType.F32, [2, 3, 12, 32], new float[2 * 3 * 12 * 32]);
        });
        string Why(string tensor) => Assert.Single(errors, e => e.Tensor == tensor).NotCompared!;
        Assert.Contains("no place", Why("mystery"), StringComparison.Ordinal);
        Assert.Contains("I64", Why("counts"), StringComparison.Ordinal);
        Assert.Contains("offers no such value", Why("final_norm"), StringComparison.Ordinal);
        Assert.Contains("[3, 12, 131]", Why("logits"), StringComparison.Ordinal);
        Assert.Contains("2 layers", Why("attn_z"), StringComparison.Ordinal);
        Assert.All(errors.Where(e => e.NotCompared is not null), e => Assert.False(e.Passes(double.MaxValue)));
    }

    [Fact]
    public void Inputs_must_be_there_and_fit_the_model()
    {
        Assert.Equal("input_ids", Assert.Throws<CheckpointException>(() => Compare(tensors => tensors.Remove("input_ids"))).Key);
        Assert.Equal("attention_mask", Assert.Throws<CheckpointException>(() => Compare(tensors =>
            tensors["attention_mask"] = TensorSource.Of<float>("attention_mask", DType.F32, [3, 12], new float[36]))).Key);
        Assert.Contains("vocabulary", Assert.Throws<CheckpointException>(() => Compare(tensors =>
            tensors["input_ids"] = TensorSource.Of<long>("input_ids", DType.I64, [3, 12], Enumerable.Repeat(500L, 36).ToArray()))).Message, StringComparison.Ordinal);
    }
}
