using SaeService.Autoencoders;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// Vectors of a normal distribution with the mean and covariance of others: everything about these that two moments do not say is gone. Features that
/// an autoencoder finds in them can not come of sparse structure.
/// </summary>
public static class GaussianVectors
{
    private const int BlockRows = 2048;

    /// <summary>Writes an <see cref="ActivationFile"/> of <paramref name="rows"/> vectors; row i depends on seed and i only.</summary>
    public static void Write(string path, PrincipalComponents like, int rows, int seed, int threads = -1, CancellationToken cancel = default)
    {
        var (d, c) = (like.Dimension, like.Components);
        var deviation = Array.ConvertAll(like.Variance, Math.Sqrt);
        var mix = new PanelMatrix(c, d, (component, i) => deviation[component] * like.Directions[component * d + i], like.Mean);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancel };
        var z = new float[BlockRows * mix.InputStride];  // [block, c padded]
        var x = new float[BlockRows * mix.OutputStride]; // [block, d padded]
        var packed = new float[BlockRows * d];
        using var file = new ActivationWriter(path, rows, d);
        for (var from = 0; from < rows; from += BlockRows)
        {
            var n = Math.Min(BlockRows, rows - from);
            Parallel.For(0, n, parallel, row =>
            {
                var random = new CounterRandom(seed, from + row);
                for (var i = 0; i < c; i++)
                    z[row * mix.InputStride + i] = (float)random.NextNormal();
            });
            mix.Multiply(z, ProbeDesign.RowsAllocated(n), x, parallel);
            for (var row = 0; row < n; row++)
                x.AsSpan(row * mix.OutputStride, d).CopyTo(packed.AsSpan(row * d));
            file.Write(from, packed.AsSpan(0, n * d));
        }
        file.Complete();
    }
}
