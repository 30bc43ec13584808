namespace SaeService.Interpretation.Information;

/// <summary>The inverse of a symmetric positive definite matrix by Cholesky's factor, float64; every entry is one dot product, whoever computes it.</summary>
internal static class SymmetricInverse
{
    private const int Block = 32;

    /// <param name="a">[n, n] row-major, lower triangle read; overwritten.</param>
    /// <returns>a⁻¹ [n, n], both triangles.</returns>
    /// <exception cref="ArithmeticException">Not positive definite.</exception>
    public static double[] Of(double[] a, int n, ParallelOptions parallel)
    {
        // a becomes L, row after row; below a finished block of columns all rows are independent.
        for (var from = 0; from < n; from += Block)
        {
            var to = Math.Min(n, from + Block);
            for (var row = from; row < to; row++)
                FactorRow(a, n, row, from, row + 1);
            Parallel.For(to, n, parallel, row => FactorRow(a, n, row, from, to));
        }

        // u[j, i] = (L⁻¹)[i, j]: column j of L⁻¹ lies contiguous.
        var u = new double[a.Length];
        Parallel.For(0, n, parallel, j =>
        {
            var column = u.AsSpan(j * n, n);
            column[j] = 1 / a[j * n + j];
            for (var i = j + 1; i < n; i++)
                column[i] = -Lbfgs.Dot(a.AsSpan(i * n + j, i - j), column[j..i]) / a[i * n + i];
        });

        // a⁻¹ = L⁻ᵀ L⁻¹.
        Parallel.For(0, n, parallel, i =>
        {
            for (var j = 0; j <= i; j++)
                a[i * n + j] = Lbfgs.Dot(u.AsSpan(i * n + i, n - i), u.AsSpan(j * n + i, n - i));
        });
        for (var i = 0; i < n; i++)
            for (var j = i + 1; j < n; j++)
                a[i * n + j] = a[j * n + i];
        return a;
    }

    /// <summary>Columns [from, to) of row <paramref name="row"/> of L, given those before and the rows above.</summary>
    private static void FactorRow(double[] a, int n, int row, int from, int to)
    {
        var left = a.AsSpan(row * n, n);
        for (var column = from; column < to; column++)
        {
            var rest = left[column] - Lbfgs.Dot(left[..column], a.AsSpan(column * n, column));
            if (column < row)
                left[column] = rest / a[column * n + column];
            else if (rest > 0)
                left[column] = Math.Sqrt(rest);
            else
                throw new ArithmeticException($"the {n} x {n} matrix is not positive definite (pivot {column} is {rest:g3})");
        }
    }
}
