using SaeService.Interpretation.Statistics;
using static TorchSharp.torch;

namespace SaeService.Interpretation.Controls;

/// <summary>Mean, and eigenvectors of the covariance by falling variance. Made of any number of vectors in blocks, float64.</summary>
public sealed class PrincipalComponents
{
    /// <summary>Components of less variance than this share of the largest are rounding of float32, not directions of the data.</summary>
    private const double LeastVariance = 1e-10;

    private PrincipalComponents(double[] mean, double[] neuronVariance, double[] variance, double[] directions) =>
        (Mean, NeuronVariance, Variance, Directions) = (mean, neuronVariance, variance, directions);

    public double[] Mean { get; }           // [d]

    /// <summary>The covariance's diagonal.</summary>
    public double[] NeuronVariance { get; } // [d]

    /// <summary>Descending; only those that are not rounding.</summary>
    public double[] Variance { get; }       // [c]

    /// <summary>Unit rows, orthogonal; the sign of a row means nothing.</summary>
    public double[] Directions { get; }     // [c, d]
    public int Dimension => Mean.Length;
    public int Components => Variance.Length;

    /// <param name="read">Vectors, not centred.</param>
    /// <exception cref="InvalidDataException">A number is not finite, or the vectors do not vary.</exception>
    public static PrincipalComponents Of(ReadRows read, int rows, int d, int threads = -1, CancellationToken cancel = default, Action<double>? progress = null)
    {
        const int Block = 4096;
        var moments = new Moments(d, threads);
        var vectors = new float[Math.Min(Block, rows) * d];
        for (var from = 0; from < rows; from += Block)
        {
            cancel.ThrowIfCancellationRequested();
            progress?.Invoke((double)from / rows);
            var n = Math.Min(Block, rows - from);
            read(from, vectors.AsSpan(0, n * d));
            moments.Add(vectors.AsSpan(0, n * d));
        }
        var covariance = moments.Covariance();
        var diagonal = new double[d];
        for (var i = 0; i < d; i++)
            diagonal[i] = covariance[i * d + i];
        var (values, vectorsOf) = SymmetricEigen.Of(covariance, d);
        var kept = Array.FindLastIndex(values, v => v > LeastVariance * values[0]) + 1;
        if (!(values[0] > 0))
            throw new InvalidDataException($"the {rows} vectors do not vary: they have no principal components");
        return new(moments.Mean, diagonal, values[..kept], vectorsOf[..(kept * d)]);
    }

    public DenseDictionary Dictionary => DenseDictionary.OfBothSigns(Array.ConvertAll(Directions, x => (float)x), Dimension);
}

/// <summary>Eigenvalues and eigenvectors of symmetric matrices, by LAPACK.</summary>
internal static class SymmetricEigen
{
    /// <param name="a">[n, n], finite.</param>
    /// <returns>Values, descending, and the vectors as rows [n, n].</returns>
    public static (double[] Values, double[] Vectors) Of(double[] a, int n)
    {
        using var one = new OneThread();
        using var inference = no_grad();
        using var scope = NewDisposeScope();
        var (values, vectors) = linalg.eigh(OneThread.Matrix(a, n, n)); // ascending; columns
        return (values.flip(0).data<double>().ToArray(), vectors.flip(1).t().contiguous().data<double>().ToArray());
    }
}

/// <summary>
/// libtorch on one thread until disposed of, by the thread that made it: the sums of BLAS and LAPACK depend on the number of threads, and so would every
/// feature that comes of them. That number is the whole process's, so one computation at a time changes it and puts it back.
/// </summary>
internal sealed class OneThread : IDisposable
{
    private static readonly Lock s_one = new();
    private readonly int _before;

    public OneThread()
    {
        s_one.Enter();
        _before = get_num_threads();
        set_num_threads(1);
    }

    /// <summary>[rows, columns] in libtorch's own memory, for those sums depend on where a matrix lies, too.</summary>
    public static Tensor Matrix(double[] values, long rows, long columns) => tensor(values, [rows, columns], ScalarType.Float64).clone();

    public void Dispose()
    {
        set_num_threads(_before);
        s_one.Exit();
    }
}
