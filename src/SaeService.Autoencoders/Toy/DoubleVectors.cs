using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<double>;

namespace SaeService.Autoencoders.Toy;

/// <summary>Dot and axpy in double. The width of the vectors is fixed, so sums have the same bits on every machine.</summary>
internal static class DoubleVectors
{
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ref double x = ref MemoryMarshal.GetReference(a), y = ref MemoryMarshal.GetReference(b[..a.Length]);
        V s0 = V.Zero, s1 = V.Zero;
        nuint j = 0, n = (nuint)a.Length;
        for (; j + 8 <= n; j += 8)
        {
            s0 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref x, j), Vector256.LoadUnsafe(ref y, j), s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref x, j + 4), Vector256.LoadUnsafe(ref y, j + 4), s1);
        }
        var sum = Vector256.Sum(s0 + s1);
        for (var i = (int)j; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    /// <summary>y += a x</summary>
    public static void AddScaled(Span<double> y, double a, ReadOnlySpan<double> x)
    {
        ref double from = ref MemoryMarshal.GetReference(x[..y.Length]), to = ref MemoryMarshal.GetReference(y);
        var factor = Vector256.Create(a);
        nuint j = 0, n = (nuint)y.Length;
        for (; j + 4 <= n; j += 4)
            Vector256.FusedMultiplyAdd(factor, Vector256.LoadUnsafe(ref from, j), Vector256.LoadUnsafe(ref to, j)).StoreUnsafe(ref to, j);
        for (var i = (int)j; i < y.Length; i++)
            y[i] += a * x[i];
    }

    public static double[] Unit(ReadOnlySpan<float> row)
    {
        var unit = new double[row.Length];
        for (var j = 0; j < row.Length; j++)
            unit[j] = row[j];
        Normalise(unit);
        return unit;
    }

    /// <summary>To length 1; a row of zeros stays one.</summary>
    public static void Normalise(Span<double> row)
    {
        var norm = Math.Sqrt(Dot(row, row));
        if (norm > 0)
            foreach (ref var value in row)
                value /= norm;
    }
}
