namespace SaeService.Autoencoders.Toy;

/// <summary>A symmetric matrix [n, n] in double, of which the toy data need a Cholesky factor and the smallest eigenvalue.</summary>
internal sealed class SymmetricMatrix(int n)
{
    private readonly double[] values = new double[(long)n * n];

    public int N { get; } = n;

    public double this[int i, int j]
    {
        get => values[i * N + j];
        set => values[i * N + j] = values[j * N + i] = value;
    }

    /// <summary>Lower triangular L with L Lᵀ = A - shift I, row by row (Cholesky-Banachiewicz); null where that is not positive definite.</summary>
    /// <returns>[n, n], row-major, zeros above the diagonal.</returns>
    public double[]? Cholesky(double shift = 0)
    {
        var factor = new double[values.Length];
        for (var i = 0; i < N; i++)
        {
            var row = factor.AsSpan(i * N, N);
            for (var j = 0; j < i; j++)
                row[j] = (this[i, j] - DoubleVectors.Dot(row[..j], factor.AsSpan(j * N, j))) / factor[j * N + j];
            var pivot = this[i, i] - shift - DoubleVectors.Dot(row[..i], row[..i]);
            if (!(pivot > 0))
                return null;
            row[i] = Math.Sqrt(pivot);
        }
        return factor;
    }

    /// <summary>
    /// To 1e-10 of the Gershgorin bound: A - t I has a Cholesky factor exactly for t below the smallest eigenvalue, which is bracketed by halving.
    /// </summary>
    public double SmallestEigenvalue()
    {
        var (low, high) = (double.MaxValue, double.MaxValue);
        for (var i = 0; i < N; i++)
        {
            var radius = 0.0;
            for (var j = 0; j < N; j++)
                radius += j == i ? 0 : Math.Abs(this[i, j]);
            low = Math.Min(low, this[i, i] - radius);
            high = Math.Min(high, this[i, i]);
        }
        var tolerance = 1e-10 * Math.Max(Math.Abs(low), Math.Abs(high));
        while (high - low > tolerance)
        {
            var middle = (low + high) / 2;
            if (Cholesky(middle) is null)
                high = middle;
            else
                low = middle;
        }
        return (low + high) / 2;
    }
}
