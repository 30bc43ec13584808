using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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
            dots[0] = Sum(s0.GetLower() + s0.GetUpper());
            dots[1] = Sum(s1.GetLower() + s1.GetUpper());
            dots[2] = Sum(s2.GetLower() + s2.GetUpper());
            dots[3] = Sum(s3.GetLower() + s3.GetUpper());
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
        dots[0] = Sum(l0 + h0);
        dots[1] = Sum(l1 + h1);
        dots[2] = Sum(l2 + h2);
        dots[3] = Sum(l3 + h3);
    }

    /// <summary>dots[4 r + i] = Dot(a_r, b_i), bit for bit: six loads for eight products.</summary>
    public static void Dot2x4(float* a0, float* a1, float* b0, float* b1, float* b2, float* b3, float* dots, int d)
    {
        if (!Vector512.IsHardwareAccelerated)
        {
            Dot4(a0, b0, b1, b2, b3, dots, d);
            Dot4(a1, b0, b1, b2, b3, dots + 4, d);
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
        dots[0] = Sum(s0.GetLower() + s0.GetUpper());
        dots[1] = Sum(s1.GetLower() + s1.GetUpper());
        dots[2] = Sum(s2.GetLower() + s2.GetUpper());
        dots[3] = Sum(s3.GetLower() + s3.GetUpper());
        dots[4] = Sum(t0.GetLower() + t0.GetUpper());
        dots[5] = Sum(t1.GetLower() + t1.GetUpper());
        dots[6] = Sum(t2.GetLower() + t2.GetUpper());
        dots[7] = Sum(t3.GetLower() + t3.GetUpper());
    }

    /// <summary>The eight lanes in a fixed order, whatever the library's own sum does on this machine.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V v)
    {
        var four = v.GetLower() + v.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
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
    /// Rounds <paramref name="factor"/> x to 16-bit integers and writes them as pairs, <paramref name="step"/> apart.
    /// </summary>
    /// <param name="scale">1 / factor.</param>
    /// <returns>sum (x - scale q)²</returns>
    public static float Quantise(float* x, float factor, float scale, int* pairs, int step, int d)
    {
        V f = Vector256.Create(factor), s = Vector256.Create(scale), error = V.Zero;
        var rounded = stackalloc int[16];
        for (var j = 0; j < d; j += 16)
        {
            V x0 = Vector256.Load(x + j), x1 = Vector256.Load(x + j + 8);
            V q0 = Vector256.Round(x0 * f), q1 = Vector256.Round(x1 * f);
            V e0 = Vector256.FusedMultiplyAdd(-q0, s, x0), e1 = Vector256.FusedMultiplyAdd(-q1, s, x1);
            error = Vector256.FusedMultiplyAdd(e0, e0, error);
            error = Vector256.FusedMultiplyAdd(e1, e1, error);
            Vector256.ConvertToInt32(q0).Store(rounded);
            Vector256.ConvertToInt32(q1).Store(rounded + 8);
            for (var i = 0; i < 16; i += 2, pairs += step)
                *pairs = (rounded[i] & 0xFFFF) | rounded[i + 1] << 16;
        }
        return Sum(error);
    }

    /// <summary>y += a x</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddScaled(float* y, float a, float* x, int d)
    {
        var factor = Vector256.Create(a);
        for (var j = 0; j < d; j += 8)
            Vector256.FusedMultiplyAdd(factor, Vector256.Load(x + j), Vector256.Load(y + j)).Store(y + j);
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

    /// <summary>y = sign start + sum_i value[i] w[index[i]], 64 or 32 columns at a time so that the sums stay in registers. w is [F, d].</summary>
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
    /// Four entries of one latent: s[i] = c * Dot(e_i, w), bit for bit, and g += sum_i c a[i] e_i in one reading of the four error rows.
    /// </summary>
    public static void DotAndAdd4(float* e0, float* e1, float* e2, float* e3, float* a, float c, float* w, float* g, float* s, int d)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> a0 = Vector512.Create(a[0] * c), a1 = Vector512.Create(a[1] * c), a2 = Vector512.Create(a[2] * c), a3 = Vector512.Create(a[3] * c);
            Vector512<float> d0 = Vector512<float>.Zero, d1 = d0, d2 = d0, d3 = d0;
            for (var j = 0; j < d; j += 16)
            {
                Vector512<float> wj = Vector512.Load(w + j), sum = Vector512.Load(g + j), e;
                e = Vector512.Load(e0 + j); d0 = Vector512.FusedMultiplyAdd(e, wj, d0); sum = Vector512.FusedMultiplyAdd(a0, e, sum);
                e = Vector512.Load(e1 + j); d1 = Vector512.FusedMultiplyAdd(e, wj, d1); sum = Vector512.FusedMultiplyAdd(a1, e, sum);
                e = Vector512.Load(e2 + j); d2 = Vector512.FusedMultiplyAdd(e, wj, d2); sum = Vector512.FusedMultiplyAdd(a2, e, sum);
                e = Vector512.Load(e3 + j); d3 = Vector512.FusedMultiplyAdd(e, wj, d3); sum = Vector512.FusedMultiplyAdd(a3, e, sum);
                sum.Store(g + j);
            }
            s[0] = c * Sum(d0.GetLower() + d0.GetUpper());
            s[1] = c * Sum(d1.GetLower() + d1.GetUpper());
            s[2] = c * Sum(d2.GetLower() + d2.GetUpper());
            s[3] = c * Sum(d3.GetLower() + d3.GetUpper());
            return;
        }
        V v0 = Vector256.Create(a[0] * c), v1 = Vector256.Create(a[1] * c), v2 = Vector256.Create(a[2] * c), v3 = Vector256.Create(a[3] * c);
        V l0 = V.Zero, l1 = l0, l2 = l0, l3 = l0, h0 = l0, h1 = l0, h2 = l0, h3 = l0;
        for (var j = 0; j < d; j += 16)
        {
            V wj = Vector256.Load(w + j), sum = Vector256.Load(g + j), e;
            e = Vector256.Load(e0 + j); l0 = Vector256.FusedMultiplyAdd(e, wj, l0); sum = Vector256.FusedMultiplyAdd(v0, e, sum);
            e = Vector256.Load(e1 + j); l1 = Vector256.FusedMultiplyAdd(e, wj, l1); sum = Vector256.FusedMultiplyAdd(v1, e, sum);
            e = Vector256.Load(e2 + j); l2 = Vector256.FusedMultiplyAdd(e, wj, l2); sum = Vector256.FusedMultiplyAdd(v2, e, sum);
            e = Vector256.Load(e3 + j); l3 = Vector256.FusedMultiplyAdd(e, wj, l3); sum = Vector256.FusedMultiplyAdd(v3, e, sum);
            sum.Store(g + j);
            wj = Vector256.Load(w + j + 8);
            sum = Vector256.Load(g + j + 8);
            e = Vector256.Load(e0 + j + 8); h0 = Vector256.FusedMultiplyAdd(e, wj, h0); sum = Vector256.FusedMultiplyAdd(v0, e, sum);
            e = Vector256.Load(e1 + j + 8); h1 = Vector256.FusedMultiplyAdd(e, wj, h1); sum = Vector256.FusedMultiplyAdd(v1, e, sum);
            e = Vector256.Load(e2 + j + 8); h2 = Vector256.FusedMultiplyAdd(e, wj, h2); sum = Vector256.FusedMultiplyAdd(v2, e, sum);
            e = Vector256.Load(e3 + j + 8); h3 = Vector256.FusedMultiplyAdd(e, wj, h3); sum = Vector256.FusedMultiplyAdd(v3, e, sum);
            sum.Store(g + j + 8);
        }
        s[0] = c * Sum(l0 + h0);
        s[1] = c * Sum(l1 + h1);
        s[2] = c * Sum(l2 + h2);
        s[3] = c * Sum(l3 + h3);
    }

    /// <summary>y += sum_i a[i] x_i over four rows.</summary>
    public static void AddScaled4(float* y, float* a, float* x0, float* x1, float* x2, float* x3, int d)
    {
        var j = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> b0 = Vector512.Create(a[0]), b1 = Vector512.Create(a[1]), b2 = Vector512.Create(a[2]), b3 = Vector512.Create(a[3]);
            for (; j < d; j += 16)
            {
                var sum = Vector512.FusedMultiplyAdd(b0, Vector512.Load(x0 + j), Vector512.Load(y + j));
                sum = Vector512.FusedMultiplyAdd(b1, Vector512.Load(x1 + j), sum);
                sum = Vector512.FusedMultiplyAdd(b2, Vector512.Load(x2 + j), sum);
                Vector512.FusedMultiplyAdd(b3, Vector512.Load(x3 + j), sum).Store(y + j);
            }
            return;
        }
        V a0 = Vector256.Create(a[0]), a1 = Vector256.Create(a[1]), a2 = Vector256.Create(a[2]), a3 = Vector256.Create(a[3]);
        for (; j < d; j += 8)
        {
            var sum = Vector256.FusedMultiplyAdd(a0, Vector256.Load(x0 + j), Vector256.Load(y + j));
            sum = Vector256.FusedMultiplyAdd(a1, Vector256.Load(x1 + j), sum);
            sum = Vector256.FusedMultiplyAdd(a2, Vector256.Load(x2 + j), sum);
            Vector256.FusedMultiplyAdd(a3, Vector256.Load(x3 + j), sum).Store(y + j);
        }
    }
}
