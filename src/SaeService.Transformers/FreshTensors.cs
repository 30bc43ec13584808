using System.Runtime.InteropServices;
using SaeService.Checkpoints;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>What a model that is loaded has instead of its trained weights.</summary>
public enum UntrainedWeights
{
    /// <summary>Every tensor as its family initialises it.</summary>
    Fresh,

    /// <summary>Outside the blocks the trained ones; of each tensor of a block the trained values in another order: as large, and without what was learnt.</summary>
    PermutedBlocks,
}

/// <param name="Seed">The same seed gives the same weights on every machine.</param>
public sealed record Untrained(UntrainedWeights Weights, int Seed);

/// <summary>
/// Tensors as nobody has trained them. The values of one depend on the seed, its name and its size only, so that blocks can be made when they are run, in any
/// order. As transformers' _init_weights of each family has it, but for rows of padding tokens, which are zeros there and are never read here.
/// </summary>
/// <param name="std">Deviation of the normal ones.</param>
internal sealed class FreshTensors(double std, Untrained untrained)
{
    // Elements made at a time: spans hold less than 2 GiB, and of a drawn tensor every piece is a task.
    private const int Drawing = 1 << 20, Permuting = 1 << 26;

    public static FreshTensors Of(ModelConfig config, Untrained untrained) =>
        new(config.Number("initializer_range", config.Number("init_std", 0.02)), untrained);

    /// <summary>Owned by the caller.</summary>
    /// <param name="stored">The trained weights.</param>
    public Tensor Of(TensorSpec spec, StoredTensors stored, ScalarType dtype, Device device)
    {
        if (untrained.Weights == UntrainedWeights.PermutedBlocks && spec.Block is null)
            return stored.Read(spec, dtype, device);
        using var scope = NewDisposeScope();
        var values = untrained.Weights == UntrainedWeights.Fresh ? Drawn(spec) : Permuted(spec, stored);
        return values.to(dtype, device).DetachFromDisposeScope();
    }

    /// <summary>float32: N(0, std), ones, zeros or sinusoids, as the spec says.</summary>
    public Tensor Drawn(TensorSpec spec)
    {
        switch (spec.Init)
        {
            case Init.Ones:
                return ones(spec.Shape);
            case Init.Zeros:
                return zeros(spec.Shape);
            case Init.Sinusoids:
                return Sinusoids(spec.Shape[0], spec.Shape[1]);
        }
        var values = empty(spec.Shape);
        using var flat = values.view(-1);
        Parallel.For(0, (spec.Elements + Drawing - 1) / Drawing, piece =>
        {
            var first = piece * Drawing;
            using var part = flat.narrow(0, first, Math.Min(Drawing, spec.Elements - first));
            NormalNumbers.Fill(MemoryMarshal.Cast<byte, float>(part.bytes), std * spec.Scale, untrained.Seed, spec.Name, first);
        });
        return values;
    }

    private Tensor Permuted(TensorSpec spec, StoredTensors stored)
    {
        // A copy: the stored ones may lie in the map of their file.
        using var trained = stored.Read(spec, ScalarType.Float32, CPU);
        var values = trained.clone();
        using var flat = values.view(-1);
        for (long first = 0; first < spec.Elements; first += Permuting)
        {
            using var part = flat.narrow(0, first, Math.Min(Permuting, spec.Elements - first));
            NormalNumbers.Shuffle(MemoryMarshal.Cast<byte, float>(part.bytes), untrained.Seed, $"{spec.Name}+{first}");
        }
        return values;
    }

    private static Tensor Sinusoids(long positions, long width)
    {
        var values = new float[positions * width];
        for (var t = 0; t < positions; t++)
            for (var j = 0; j < width; j++)
            {
                var angle = t / Math.Pow(10000, 2.0 * (j / 2) / width);
                values[t * width + j] = (float)(j % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
            }
        return tensor(values, [positions, width]);
    }
}
