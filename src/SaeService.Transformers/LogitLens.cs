using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// What a model would say if its stream at some layer were its last: the stream through the final norm and the head (nostalgebraist 2020, "interpreting GPT:
/// the logit lens"). Later blocks are left out, so that it says most near the end of the model, where it is the model's own answer.
/// </summary>
public static class LogitLens
{
    /// <summary>The most probable tokens of every stream, the likeliest first.</summary>
    /// <param name="model">With a head.</param>
    /// <param name="streams">[n, d], float32: the stream at any layer and position.</param>
    /// <param name="top">How many; fewer where the vocabulary is smaller.</param>
    /// <param name="logitsAtOnce">Most logits held at once; 32 MiB of float32.</param>
    /// <returns>[n] of ids in the rows of the unembedding with their probabilities.</returns>
    /// <exception cref="ArgumentException">No whole number of streams.</exception>
    /// <exception cref="InvalidOperationException">There is no head.</exception>
    public static (int Token, float Probability)[][] Top(LanguageModel model, float[] streams, int top, long logitsAtOnce = 8L << 20)
    {
        var d = model.Description.DModel;
        if (streams.Length % d != 0)
            throw new ArgumentException($"{streams.Length} values are no rows of {d}", nameof(streams));
        var n = streams.Length / d;
        var k = Math.Min(top, model.Description.VocabularySize);
        var found = new (int, float)[n][];
        var step = (int)Math.Clamp(logitsAtOnce / model.Description.VocabularySize, 1, Math.Max(1, n));
        using var noGrad = no_grad();
        for (var from = 0; from < n; from += step)
        {
            using var scope = NewDisposeScope();
            var rows = Math.Min(step, n - from);
            // Each stream is a sequence of one token: norm and head look at no other, and no id or position is read behind the last block.
            var stream = tensor(streams.AsSpan(from * d, rows * d).ToArray(), rows, 1, d).to(model.DType, model.Device);
            var final = model.ForwardFrom(stream, model.Description.Layers, zeros([rows, 1], ScalarType.Int64), null, null);
            var (values, indices) = nn.functional.softmax(model.Logits(final).to(ScalarType.Float32), -1).view(rows, -1).topk(k, dim: 1, largest: true, sorted: true);
            var value = MemoryMarshal.Cast<byte, float>(values.cpu().contiguous().bytes);
            var index = MemoryMarshal.Cast<byte, long>(indices.cpu().contiguous().bytes);
            for (var i = 0; i < rows; i++)
            {
                var of = found[from + i] = new (int, float)[k];
                for (var j = 0; j < k; j++)
                    of[j] = ((int)index[i * k + j], value[i * k + j]);
            }
        }
        return found;
    }
}
