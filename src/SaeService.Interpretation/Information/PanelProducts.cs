using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// The two products of a softmax regression, float32, for a tall matrix times a narrow one. Written out because the arithmetic must not depend on the
/// number of threads or on where an array lies, which BLAS does not promise, and because a block of rows is used twice while it is in cache.
/// The narrow matrix is stored in panels of 24 (or 8) columns: panel p holds columns [start, start+width), row after row, from offset start * rows.
/// The kernels are compiled to full speed at once: the first fit is as long as the others.
/// </summary>
internal static class PanelProducts
{
    private const int Lanes = 8;
    private const int Wide = 3 * Lanes;

    /// <summary>Rows and features come in tiles of 4: both are padded with zeros to a multiple of it (features of 8).</summary>
    public const int Tile = 4;

    /// <summary>Columns after padding.</summary>
    public static int Padded(int columns) => columns % Wide is var rest && rest == 0 ? columns : columns - rest + (rest <= Lanes ? Lanes : Wide);

    /// <summary>The panels of a width that is a multiple of 8: as many of 24 columns as fit, then of 8.</summary>
    public static IEnumerable<(int Start, int Width)> Panels(int padded)
    {
        for (int start = 0, width; start < padded; start += width)
            yield return (start, width = padded - start >= Wide ? Wide : Lanes);
    }

    /// <summary>z [rows, padded] = bias [padded] + x [rows, features] · w [features, padded] (panels).</summary>
    /// <param name="features">Row length of x, a multiple of 8.</param>
    public static void Multiply(ReadOnlySpan<float> x, int features, int rows, ReadOnlySpan<float> w, ReadOnlySpan<float> bias, Span<float> z, int padded)
    {
        foreach (var (start, width) in Panels(padded))
        {
            ref var panel = ref MemoryMarshal.GetReference(w.Slice(start * features, width * features));
            for (var row = 0; row < rows; row += Tile)
            {
                ref var tile = ref MemoryMarshal.GetReference(x.Slice(row * features, Tile * features));
                var into = z.Slice(row * padded + start, (Tile - 1) * padded + width);
                if (width == Wide)
                    MultiplyWide(ref tile, (nuint)features, ref panel, bias[start..], into, padded);
                else
                    MultiplyNarrow(ref tile, (nuint)features, ref panel, bias[start..], into, padded);
            }
        }
    }

    /// <summary>g [features, width] += xᵀ · e, for the panel of e [rows, stride] that begins at column <paramref name="start"/>.</summary>
    public static void AddTransposed(ReadOnlySpan<float> x, int features, int rows, ReadOnlySpan<float> e, int stride, int start, int width, Span<float> g)
    {
        if (rows == 0)
            return;
        ref var left = ref MemoryMarshal.GetReference(x[..(rows * features)]);
        ref var right = ref MemoryMarshal.GetReference(e.Slice(start, (rows - 1) * stride + width));
        for (var feature = 0; feature < features; feature += Tile)
        {
            var into = g.Slice(feature * width, Tile * width);
            if (width == Wide)
                AddWide(ref left, (nuint)feature, (nuint)features, ref right, (nuint)stride, rows, into);
            else
                AddNarrow(ref left, (nuint)feature, (nuint)features, ref right, (nuint)stride, rows, into);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyWide(ref float x, nuint features, ref float w, ReadOnlySpan<float> bias, Span<float> z, int stride)
    {
        Vector256<float> a0 = Vector256.Create<float>(bias), a1 = Vector256.Create(bias[8..]), a2 = Vector256.Create(bias[16..]);
        Vector256<float> b0 = a0, b1 = a1, b2 = a2, c0 = a0, c1 = a1, c2 = a2, d0 = a0, d1 = a1, d2 = a2;
        nuint panel = 0;
        for (nuint j = 0; j < features; j++, panel += Wide)
        {
            var w0 = Vector256.LoadUnsafe(ref w, panel);
            var w1 = Vector256.LoadUnsafe(ref w, panel + 8);
            var w2 = Vector256.LoadUnsafe(ref w, panel + 16);
            var v = Broadcast(ref x, j);
            a0 = Vector256.FusedMultiplyAdd(v, w0, a0);
            a1 = Vector256.FusedMultiplyAdd(v, w1, a1);
            a2 = Vector256.FusedMultiplyAdd(v, w2, a2);
            v = Broadcast(ref x, j + features);
            b0 = Vector256.FusedMultiplyAdd(v, w0, b0);
            b1 = Vector256.FusedMultiplyAdd(v, w1, b1);
            b2 = Vector256.FusedMultiplyAdd(v, w2, b2);
            v = Broadcast(ref x, j + 2 * features);
            c0 = Vector256.FusedMultiplyAdd(v, w0, c0);
            c1 = Vector256.FusedMultiplyAdd(v, w1, c1);
            c2 = Vector256.FusedMultiplyAdd(v, w2, c2);
            v = Broadcast(ref x, j + 3 * features);
            d0 = Vector256.FusedMultiplyAdd(v, w0, d0);
            d1 = Vector256.FusedMultiplyAdd(v, w1, d1);
            d2 = Vector256.FusedMultiplyAdd(v, w2, d2);
        }
        Store(z, a0, a1, a2);
        Store(z[stride..], b0, b1, b2);
        Store(z[(2 * stride)..], c0, c1, c2);
        Store(z[(3 * stride)..], d0, d1, d2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyNarrow(ref float x, nuint features, ref float w, ReadOnlySpan<float> bias, Span<float> z, int stride)
    {
        Vector256<float> a = Vector256.Create<float>(bias), b = a, c = a, d = a;
        for (nuint j = 0; j < features; j++)
        {
            var v = Vector256.LoadUnsafe(ref w, j * Lanes);
            a = Vector256.FusedMultiplyAdd(Broadcast(ref x, j), v, a);
            b = Vector256.FusedMultiplyAdd(Broadcast(ref x, j + features), v, b);
            c = Vector256.FusedMultiplyAdd(Broadcast(ref x, j + 2 * features), v, c);
            d = Vector256.FusedMultiplyAdd(Broadcast(ref x, j + 3 * features), v, d);
        }
        a.CopyTo(z);
        b.CopyTo(z[stride..]);
        c.CopyTo(z[(2 * stride)..]);
        d.CopyTo(z[(3 * stride)..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddWide(ref float x, nuint feature, nuint features, ref float e, nuint stride, int rows, Span<float> g)
    {
        Vector256<float> a0 = Load(g, 0), a1 = Load(g, 8), a2 = Load(g, 16), b0 = Load(g, 24), b1 = Load(g, 32), b2 = Load(g, 40);
        Vector256<float> c0 = Load(g, 48), c1 = Load(g, 56), c2 = Load(g, 64), d0 = Load(g, 72), d1 = Load(g, 80), d2 = Load(g, 88);
        var at = feature;
        nuint from = 0;
        for (var row = 0; row < rows; row++, at += features, from += stride)
        {
            var e0 = Vector256.LoadUnsafe(ref e, from);
            var e1 = Vector256.LoadUnsafe(ref e, from + 8);
            var e2 = Vector256.LoadUnsafe(ref e, from + 16);
            var v = Broadcast(ref x, at);
            a0 = Vector256.FusedMultiplyAdd(v, e0, a0);
            a1 = Vector256.FusedMultiplyAdd(v, e1, a1);
            a2 = Vector256.FusedMultiplyAdd(v, e2, a2);
            v = Broadcast(ref x, at + 1);
            b0 = Vector256.FusedMultiplyAdd(v, e0, b0);
            b1 = Vector256.FusedMultiplyAdd(v, e1, b1);
            b2 = Vector256.FusedMultiplyAdd(v, e2, b2);
            v = Broadcast(ref x, at + 2);
            c0 = Vector256.FusedMultiplyAdd(v, e0, c0);
            c1 = Vector256.FusedMultiplyAdd(v, e1, c1);
            c2 = Vector256.FusedMultiplyAdd(v, e2, c2);
            v = Broadcast(ref x, at + 3);
            d0 = Vector256.FusedMultiplyAdd(v, e0, d0);
            d1 = Vector256.FusedMultiplyAdd(v, e1, d1);
            d2 = Vector256.FusedMultiplyAdd(v, e2, d2);
        }
        Store(g, a0, a1, a2);
        Store(g[Wide..], b0, b1, b2);
        Store(g[(2 * Wide)..], c0, c1, c2);
        Store(g[(3 * Wide)..], d0, d1, d2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddNarrow(ref float x, nuint feature, nuint features, ref float e, nuint stride, int rows, Span<float> g)
    {
        Vector256<float> a = Load(g, 0), b = Load(g, 8), c = Load(g, 16), d = Load(g, 24);
        var at = feature;
        nuint from = 0;
        for (var row = 0; row < rows; row++, at += features, from += stride)
        {
            var v = Vector256.LoadUnsafe(ref e, from);
            a = Vector256.FusedMultiplyAdd(Broadcast(ref x, at), v, a);
            b = Vector256.FusedMultiplyAdd(Broadcast(ref x, at + 1), v, b);
            c = Vector256.FusedMultiplyAdd(Broadcast(ref x, at + 2), v, c);
            d = Vector256.FusedMultiplyAdd(Broadcast(ref x, at + 3), v, d);
        }
        a.CopyTo(g);
        b.CopyTo(g[Lanes..]);
        c.CopyTo(g[(2 * Lanes)..]);
        d.CopyTo(g[(3 * Lanes)..]);
    }

    private static Vector256<float> Broadcast(ref float x, nuint at) => Vector256.Create(Unsafe.Add(ref x, at));

    private static Vector256<float> Load(ReadOnlySpan<float> from, int at) => Vector256.Create(from[at..]);

    private static void Store(Span<float> into, Vector256<float> v0, Vector256<float> v1, Vector256<float> v2)
    {
        v0.CopyTo(into);
        v1.CopyTo(into[8..]);
        v2.CopyTo(into[16..]);
    }
}
