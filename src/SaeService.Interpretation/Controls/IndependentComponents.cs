using System.Numerics.Tensors;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;
using static TorchSharp.torch;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// Independent components by FastICA (Hyvärinen 1999), all at once: vectors are centred and whitened by their principal components, then
/// W ← E[g(Wz) zᵀ] - diag(E[g'(Wz)]) W and W ← (W Wᵀ)^(-1/2) W by turns, with g = tanh, until no row turns by more than the tolerance. Products of
/// data are float32, their sums over blocks and everything of the size of W float64; nothing depends on the number of threads.
/// </summary>
public sealed class IndependentComponents
{
    /// <summary>The leading principal components that are unmixed: the cost of an iteration grows with their square, that of the rotation with their cube.</summary>
    public const int MostComponents = 1024;

    /// <summary>Vectors that are looked at.</summary>
    public const int MostVectors = 50_000;
    public const int MostIterations = 200;
    public const double Tolerance = 1e-4;

    private const int BlockRows = 2048;

    private readonly float[] _directions;
    private readonly int _d;

    private IndependentComponents(float[] directions, int d, int iterations, double change) =>
        (_directions, _d, Iterations, Change) = (directions, d, iterations, change);

    public int Components => _directions.Length / _d;
    public int Iterations { get; }

    /// <summary>By how much the last iteration turned the row that turned most: 1 - |cosine|.</summary>
    public double Change { get; }
    public bool Converged => Change < Tolerance;

    /// <summary>Rows [c, d] whose products with centred vectors are the sources, each of unit variance.</summary>
    public ReadOnlySpan<float> Directions => _directions;
    public DenseDictionary Dictionary => DenseDictionary.OfBothSigns(_directions, _d);

    /// <param name="read">Vectors, not centred: at most <see cref="MostVectors"/> of them, a sample of those that <paramref name="principal"/> is of.</param>
    public static IndependentComponents Fit(PrincipalComponents principal, ReadRows read, int rows, int seed, int threads = -1, CancellationToken cancel = default,
        Action<double>? progress = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancel };
        var c = Math.Min(MostComponents, principal.Components);
        var (whitened, stride) = Whiten(principal, c, read, rows, parallel);

        var random = new double[c * c];
        for (var i = 0; i < c; i++)
        {
            var row = new CounterRandom(seed, i);
            for (var j = 0; j < c; j++)
                random[i * c + j] = row.NextNormal();
        }
        var w = Decorrelate(random, c);
        var (iteration, change) = (0, double.PositiveInfinity);
        while (iteration < MostIterations && !(change < Tolerance))
        {
            progress?.Invoke((double)iteration / MostIterations);
            var next = Decorrelate(Update(w, whitened, rows, c, stride, parallel), c);
            change = 0;
            for (var i = 0; i < c; i++)
                change = Math.Max(change, Math.Abs(Math.Abs(Lbfgs.Dot(next.AsSpan(i * c, c), w.AsSpan(i * c, c))) - 1));
            w = next;
            iteration++;
        }
        return new(Unwhiten(w, c, principal), principal.Dimension, iteration, change);
    }

    /// <returns>z = diag(λ^(-1/2)) V (x - μ): [rows padded, stride], zeros in the padding.</returns>
    private static (float[] Z, int Stride) Whiten(PrincipalComponents principal, int c, ReadRows read, int rows, ParallelOptions parallel)
    {
        var d = principal.Dimension;
        var inverse = Array.ConvertAll(principal.Variance[..c], v => 1 / Math.Sqrt(v));
        var k = new PanelMatrix(d, c, (i, o) => principal.Directions[o * d + i] * inverse[o]);
        var z = new float[checked(ProbeDesign.RowsAllocated(rows) * k.OutputStride)];
        var vectors = new float[BlockRows * d];
        var centred = new float[BlockRows * k.InputStride];
        for (var from = 0; from < rows; from += BlockRows)
        {
            parallel.CancellationToken.ThrowIfCancellationRequested();
            var n = Math.Min(BlockRows, rows - from);
            read(from, vectors.AsSpan(0, n * d));
            Array.Clear(centred);
            for (var row = 0; row < n; row++)
                for (var i = 0; i < d; i++)
                    centred[row * k.InputStride + i] = (float)(vectors[row * d + i] - principal.Mean[i]);
            k.Multiply(centred, ProbeDesign.RowsAllocated(n), z.AsMemory(from * k.OutputStride), parallel);
        }
        return (z, k.OutputStride);
    }

    /// <summary>E[g(Wz) zᵀ] - diag(E[g'(Wz)]) W.</summary>
    private static double[] Update(double[] w, float[] z, int rows, int c, int stride, ParallelOptions parallel)
    {
        var wt = new PanelMatrix(c, c, (i, o) => w[o * c + i]);
        var sources = new float[BlockRows * wt.OutputStride];       // [block, stride]
        var products = new double[c * c];                           // Σ g(s)ᵀ z, row by source
        var slopes = new double[c];                                 // Σ g'(s)
        var panels = PanelProducts.Panels(stride).ToArray();
        for (var from = 0; from < rows; from += BlockRows)
        {
            var n = Math.Min(BlockRows, rows - from);
            var block = z.AsMemory(from * stride);
            wt.Multiply(block, ProbeDesign.RowsAllocated(n), sources, parallel);
            TensorPrimitives.Tanh(sources.AsSpan(0, n * stride), sources.AsSpan(0, n * stride));
            Parallel.For(0, panels.Length, parallel, panel =>
            {
                var (start, width) = panels[panel];
                var sum = new float[stride * width]; // Σ zᵀ g(s), of the sources of the panel
                PanelProducts.AddTransposed(block.Span, stride, n, sources, stride, start, width, sum);
                for (var source = start; source < Math.Min(c, start + width); source++)
                {
                    for (var j = 0; j < c; j++)
                        products[source * c + j] += sum[j * width + source - start];
                    for (var row = 0; row < n; row++)
                        slopes[source] += 1 - (double)sources[row * stride + source] * sources[row * stride + source];
                }
            });
        }
        for (var source = 0; source < c; source++)
            for (var j = 0; j < c; j++)
                products[source * c + j] = (products[source * c + j] - slopes[source] * w[source * c + j]) / rows;
        return products;
    }

    /// <summary>(W Wᵀ)^(-1/2) W</summary>
    private static double[] Decorrelate(double[] w, int c)
    {
        using var one = new OneThread();
        using var inference = no_grad();
        using var scope = NewDisposeScope();
        var matrix = OneThread.Matrix(w, c, c);
        var (values, vectors) = linalg.eigh(matrix.mm(matrix.t()));
        var scaled = vectors * values.clamp_min(1e-30).rsqrt(); // [c, c] columns over the roots
        return scaled.mm(vectors.t()).mm(matrix).contiguous().data<double>().ToArray();
    }

    /// <returns>W diag(λ^(-1/2)) V: [c, d]</returns>
    private static float[] Unwhiten(double[] w, int c, PrincipalComponents principal)
    {
        using var one = new OneThread();
        using var inference = no_grad();
        using var scope = NewDisposeScope();
        var d = principal.Dimension;
        var k = OneThread.Matrix(principal.Directions[..(c * d)], c, d) / OneThread.Matrix(principal.Variance[..c], c, 1).sqrt();
        return OneThread.Matrix(w, c, c).mm(k).to(ScalarType.Float32).data<float>().ToArray();
    }
}
