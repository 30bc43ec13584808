using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>Operations on padded rows (d a multiple of 16). The width of the vectors is fixed, so sums have the same bits on every machine with FMA.</summary>
internal static unsafe class RowKernel
{
    /// <summary>
    /// ⟨a, b⟩ as sixteen chains of fused multiply-adds, j = i mod 16 each, added up in a fixed order. This is what a pre-activation is.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Dot(float* a, float* b, int d)
    {
        V s0 = V.Zero, s1 = V.Zero;
        for (var j = 0; j < d; j += 16)
        {
            s0 = Vector256.FusedMultiplyAdd(Vector256.Load(a + j), Vector256.Load(b + j), s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.Load(a + j + 8), Vector256.Load(b + j + 8), s1);
        }
        return Sum(s0 + s1);
    }

    /// <summary>dots[i] = Dot(a, b_i), bit for bit, in one reading of a.</summary>
    public static void Dot4(float* a, float* b0, float* b1, float* b2, float* b3, float* dots, int d)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
            for (var j = 0; j < d; j += 16)
            {
                var v = Vector512.Load(a + j);
                s0 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b0 + j), s0);
                s1 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b1 + j), s1);
                s2 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b2 + j), s2);
                s3 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b3 + j), s3);
            }
            Sum4(s0.GetLower() + s0.GetUpper(), s1.GetLower() + s1.GetUpper(), s2.GetLower() + s2.GetUpper(), s3.GetLower() + s3.GetUpper()).Store(dots);
            return;
        }
        V l0 = V.Zero, l1 = l0, l2 = l0, l3 = l0, h0 = l0, h1 = l0, h2 = l0, h3 = l0;
        for (var j = 0; j < d; j += 16)
        {
            V low = Vector256.Load(a + j), high = Vector256.Load(a + j + 8);
            l0 = Vector256.FusedMultiplyAdd(low, Vector256.Load(b0 + j), l0);
            l1 = Vector256.FusedMultiplyAdd(low, Vector256.Load(b1 + j), l1);
            l2 = Vector256.FusedMultiplyAdd(low, Vector256.Load(b2 + j), l2);
            l3 = Vector256.FusedMultiplyAdd(low, Vector256.Load(b3 + j), l3);
            h0 = Vector256.FusedMultiplyAdd(high, Vector256.Load(b0 + j + 8), h0);
            h1 = Vector256.FusedMultiplyAdd(high, Vector256.Load(b1 + j + 8), h1);
            h2 = Vector256.FusedMultiplyAdd(high, Vector256.Load(b2 + j + 8), h2);
            h3 = Vector256.FusedMultiplyAdd(high, Vector256.Load(b3 + j + 8), h3);
        }
        Sum4(l0 + h0, l1 + h1, l2 + h2, l3 + h3).Store(dots);
    }

    /// <summary>dots0[i] = Dot(a0, b_i), dots1[i] = Dot(a1, b_i), bit for bit: no more loads than products.</summary>
    public static void Dot2x4(float* a0, float* a1, float* b0, float* b1, float* b2, float* b3, float* dots0, float* dots1, int d)
    {
        if (!Vector512.IsHardwareAccelerated)
        {
            // Sixteen registers hold the chains of two by two.
            Dot2x2(a0, a1, b0, b1, dots0, dots1, d);
            Dot2x2(a0, a1, b2, b3, dots0 + 2, dots1 + 2, d);
            return;
        }
        Vector512<float> s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        for (var j = 0; j < d; j += 16)
        {
            Vector512<float> v = Vector512.Load(a0 + j), u = Vector512.Load(a1 + j), b;
            b = Vector512.Load(b0 + j); s0 = Vector512.FusedMultiplyAdd(v, b, s0); t0 = Vector512.FusedMultiplyAdd(u, b, t0);
            b = Vector512.Load(b1 + j); s1 = Vector512.FusedMultiplyAdd(v, b, s1); t1 = Vector512.FusedMultiplyAdd(u, b, t1);
            b = Vector512.Load(b2 + j); s2 = Vector512.FusedMultiplyAdd(v, b, s2); t2 = Vector512.FusedMultiplyAdd(u, b, t2);
            b = Vector512.Load(b3 + j); s3 = Vector512.FusedMultiplyAdd(v, b, s3); t3 = Vector512.FusedMultiplyAdd(u, b, t3);
        }
        Sum4(s0.GetLower() + s0.GetUpper(), s1.GetLower() + s1.GetUpper(), s2.GetLower() + s2.GetUpper(), s3.GetLower() + s3.GetUpper()).Store(dots0);
        Sum4(t0.GetLower() + t0.GetUpper(), t1.GetLower() + t1.GetUpper(), t2.GetLower() + t2.GetUpper(), t3.GetLower() + t3.GetUpper()).Store(dots1);
    }

    private static void Dot2x2(float* a0, float* a1, float* b0, float* b1, float* ofFirst, float* ofSecond, int d)
    {
        V l00 = V.Zero, l01 = l00, l10 = l00, l11 = l00, h00 = l00, h01 = l00, h10 = l00, h11 = l00;
        for (var j = 0; j < d; j += 16)
        {
            V p = Vector256.Load(a0 + j), q = Vector256.Load(a1 + j), b = Vector256.Load(b0 + j), c = Vector256.Load(b1 + j);
            l00 = Vector256.FusedMultiplyAdd(p, b, l00); l01 = Vector256.FusedMultiplyAdd(p, c, l01);
            l10 = Vector256.FusedMultiplyAdd(q, b, l10); l11 = Vector256.FusedMultiplyAdd(q, c, l11);
            p = Vector256.Load(a0 + j + 8); q = Vector256.Load(a1 + j + 8); b = Vector256.Load(b0 + j + 8); c = Vector256.Load(b1 + j + 8);
            h00 = Vector256.FusedMultiplyAdd(p, b, h00); h01 = Vector256.FusedMultiplyAdd(p, c, h01);
            h10 = Vector256.FusedMultiplyAdd(q, b, h10); h11 = Vector256.FusedMultiplyAdd(q, c, h11);
        }
        var sums = Sum4(l00 + h00, l01 + h01, l10 + h10, l11 + h11);
        sums.GetLower().Store(ofFirst);
        sums.GetUpper().Store(ofSecond);
    }

    /// <summary>The eight lanes in a fixed order, whatever the library's own sum does on this machine.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V v)
    {
        var four = v.GetLower() + v.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    /// <summary><see cref="Sum"/> of each of four, bit for bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(V v0, V v1, V v2, V v3)
    {
        Vector128<float> a = v0.GetLower() + v0.GetUpper(), b = v1.GetLower() + v1.GetUpper(), c = v2.GetLower() + v2.GetUpper(), d = v3.GetLower() + v3.GetUpper();
        var ab = Vector128.Create(a.GetLower(), b.GetLower()) + Vector128.Create(a.GetUpper(), b.GetUpper());   // a0 + a2, a1 + a3, of b
        var cd = Vector128.Create(c.GetLower(), d.GetLower()) + Vector128.Create(c.GetUpper(), d.GetUpper());
        return Sse3.IsSupported ? Sse3.HorizontalAdd(ab, cd) : Vector128.Create(ab[0] + ab[1], ab[2] + ab[3], cd[0] + cd[1], cd[2] + cd[3]);
    }

    /// <summary>Has the cache lines fetched that will soon be read and written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* read, float* written)
    {
        if (!Sse.IsSupported)
            return;
        Sse.Prefetch0(read);
        Sse.Prefetch0(written);
    }

    public static float MaxAbs(float* x, int d)
    {
        var most = V.Zero;
        for (var j = 0; j < d; j += 8)
            most = Vector256.Max(most, Vector256.Abs(Vector256.Load(x + j)));
        var largest = 0f;
        for (var lane = 0; lane < 8; lane++)
            largest = Math.Max(largest, most[lane]);
        return largest;
    }

    /// <summary>
    /// Rounds <paramref name="factor"/> x to 16-bit integers and writes them as pairs, <paramref name="step"/> apart: of each eight pairs four to
    /// <paramref name="first"/> and four to <paramref name="second"/>.
    /// </summary>
    /// <param name="scale">1 / factor.</param>
    /// <returns>sum (x - scale q)²</returns>
    public static float Quantise(float* x, float factor, float scale, int* first, int* second, int step, int d)
    {
        V f = Vector256.Create(factor), s = Vector256.Create(scale), error = V.Zero;
        var pairs = stackalloc int[8];
        for (var j = 0; j < d; j += 16)
        {
            V x0 = Vector256.Load(x + j), x1 = Vector256.Load(x + j + 8);
            V q0 = Vector256.Round(x0 * f), q1 = Vector256.Round(x1 * f);
            V e0 = Vector256.FusedMultiplyAdd(-q0, s, x0), e1 = Vector256.FusedMultiplyAdd(-q1, s, x1);
            error = Vector256.FusedMultiplyAdd(e0, e0, error);
            error = Vector256.FusedMultiplyAdd(e1, e1, error);
            Vector256.NarrowWithSaturation(Vector256.ConvertToInt32(q0), Vector256.ConvertToInt32(q1)).AsInt32().Store(pairs);
            for (var i = 0; i < 4; i++, first += step, second += step)
            {
                *first = pairs[i];
                *second = pairs[i + 4];
            }
        }
        return Sum(error);
    }

    /// <summary>sum a and ⟨a, b⟩ of any number of them, in eight chains and what is left over one by one.</summary>
    public static (float Sum, float Dot) SumAndDot(float* a, float* b, int n)
    {
        V sum = V.Zero, dot = V.Zero;
        var i = 0;
        for (; i + 8 <= n; i += 8)
        {
            sum += Vector256.Load(a + i);
            dot = Vector256.FusedMultiplyAdd(Vector256.Load(a + i), Vector256.Load(b + i), dot);
        }
        var (s, d) = (Sum(sum), Sum(dot));
        for (; i < n; i++)
            (s, d) = (s + a[i], MathF.FusedMultiplyAdd(a[i], b[i], d));
        return (s, d);
    }

    /// <summary>y += x</summary>
    public static void Add(float* y, float* x, int d)
    {
        for (var j = 0; j < d; j += 8)
            (Vector256.Load(x + j) + Vector256.Load(y + j)).Store(y + j);
    }

    public static void Scale(float* y, float a, int d)
    {
        for (var j = 0; j < d; j += 8)
            (Vector256.Load(y + j) * a).Store(y + j);
    }

    /// <summary>y = sign start + sum_i value[i] w[index[i]], 96, 64 or 32 columns at a time so that the sums stay in registers. w is [F, d].</summary>
    /// <param name="sign">+1 or -1: whether <paramref name="start"/> is added or taken away.</param>
    public static void Decode(int* index, float* value, int n, float* w, float* start, float sign, float* y, int d)
    {
        var j = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; j + 64 <= d; j += 64)
            {
                Vector512<float> s0 = Vector512.Load(start + j) * sign, s1 = Vector512.Load(start + j + 16) * sign;
                Vector512<float> s2 = Vector512.Load(start + j + 32) * sign, s3 = Vector512.Load(start + j + 48) * sign;
                for (var i = 0; i < n; i++)
                {
                    var row = w + (long)index[i] * d + j;
                    var v = Vector512.Create(value[i]);
                    s0 = Vector512.FusedMultiplyAdd(v, Vector512.Load(row), s0);
                    s1 = Vector512.FusedMultiplyAdd(v, Vector512.Load(row + 16), s1);
                    s2 = Vector512.FusedMultiplyAdd(v, Vector512.Load(row + 32), s2);
                    s3 = Vector512.FusedMultiplyAdd(v, Vector512.Load(row + 48), s3);
                }
                s0.Store(y + j);
                s1.Store(y + j + 16);
                s2.Store(y + j + 32);
                s3.Store(y + j + 48);
            }
        else
            for (; j + 96 <= d; j += 96)
            {
                V s0 = Vector256.Load(start + j) * sign, s1 = Vector256.Load(start + j + 8) * sign, s2 = Vector256.Load(start + j + 16) * sign;
                V s3 = Vector256.Load(start + j + 24) * sign, s4 = Vector256.Load(start + j + 32) * sign, s5 = Vector256.Load(start + j + 40) * sign;
                V s6 = Vector256.Load(start + j + 48) * sign, s7 = Vector256.Load(start + j + 56) * sign, s8 = Vector256.Load(start + j + 64) * sign;
                V s9 = Vector256.Load(start + j + 72) * sign, sa = Vector256.Load(start + j + 80) * sign, sb = Vector256.Load(start + j + 88) * sign;
                for (var i = 0; i < n; i++)
                {
                    var row = w + (long)index[i] * d + j;
                    var v = Vector256.Create(value[i]);
                    s0 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row), s0);
                    s1 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 8), s1);
                    s2 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 16), s2);
                    s3 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 24), s3);
                    s4 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 32), s4);
                    s5 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 40), s5);
                    s6 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 48), s6);
                    s7 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 56), s7);
                    s8 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 64), s8);
                    s9 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 72), s9);
                    sa = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 80), sa);
                    sb = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 88), sb);
                }
                s0.Store(y + j); s1.Store(y + j + 8); s2.Store(y + j + 16); s3.Store(y + j + 24); s4.Store(y + j + 32); s5.Store(y + j + 40);
                s6.Store(y + j + 48); s7.Store(y + j + 56); s8.Store(y + j + 64); s9.Store(y + j + 72); sa.Store(y + j + 80); sb.Store(y + j + 88);
            }
        for (; j + 32 <= d; j += 32)
        {
            V s0 = Vector256.Load(start + j) * sign, s1 = Vector256.Load(start + j + 8) * sign;
            V s2 = Vector256.Load(start + j + 16) * sign, s3 = Vector256.Load(start + j + 24) * sign;
            for (var i = 0; i < n; i++)
            {
                var row = w + (long)index[i] * d + j;
                var v = Vector256.Create(value[i]);
                s0 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row), s0);
                s1 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 8), s1);
                s2 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 16), s2);
                s3 = Vector256.FusedMultiplyAdd(v, Vector256.Load(row + 24), s3);
            }
            s0.Store(y + j);
            s1.Store(y + j + 8);
            s2.Store(y + j + 16);
            s3.Store(y + j + 24);
        }
        for (; j < d; j += 8)
        {
            var s = Vector256.Load(start + j) * sign;
            for (var i = 0; i < n; i++)
                s = Vector256.FusedMultiplyAdd(Vector256.Create(value[i]), Vector256.Load(w + (long)index[i] * d + j), s);
            s.Store(y + j);
        }
    }

    /// <summary>
    /// dots[i] = Dot(e, w[index[i]]), bit for bit, w being [F, d].
    /// </summary>
    public static void DotEach(int* index, int n, float* w, float* e, float* dots, int d)
    {
        var i = 0;
        for (; i + 4 <= n; i += 4)
            Dot4(e, w + (long)index[i] * d, w + (long)index[i + 1] * d, w + (long)index[i + 2] * d, w + (long)index[i + 3] * d, dots + i, d);
        for (; i < n; i++)
            dots[i] = Dot(e, w + (long)index[i] * d, d);
    }
}
