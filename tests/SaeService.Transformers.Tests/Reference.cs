using System.Runtime.InteropServices;
using SaeService.Checkpoints;
using TorchSharp;

namespace SaeService.Transformers.Tests;

/// <summary>A forward pass with all its values copied out, by point and block.</summary>
internal sealed class Recording
{
    public Dictionary<(HookPoint Point, int Block), (float[] Values, long[] Shape)> Values { get; } = [];

    public static Recording Of(LanguageModel model, long[,] ids, long[,]? mask = null, bool pattern = true)
    {
        var recording = new Recording();
        using var scope = torch.NewDisposeScope();
        model.Forward(torch.tensor(ids), mask is null ? null : torch.tensor(mask), recording.Record, logits: true, attentionPattern: pattern);
        return recording;
    }

    public float[] this[HookPoint point, int block = -1] => Values[(point, block)].Values;

    private torch.Tensor? Record(HookPoint point, int block, torch.Tensor value)
    {
        Values.Add((point, block), (value.contiguous().data<float>().ToArray(), value.shape));
        return null;
    }
}

internal static class Reading
{
    public static float[] Floats(this SafetensorsFile file, string name) => MemoryMarshal.Cast<byte, float>(file.Bytes(name)).ToArray();

    public static long[] Longs(this SafetensorsFile file, string name) => MemoryMarshal.Cast<byte, long>(file.Bytes(name)).ToArray();

    public static long[,] Matrix(this SafetensorsFile file, string name)
    {
        var shape = file.Tensors[name].Shape;
        var values = file.Longs(name);
        var matrix = new long[shape.Length == 1 ? 1 : shape[0], shape[^1]];
        Buffer.BlockCopy(values, 0, matrix, 0, values.Length * sizeof(long));
        return matrix;
    }
}
