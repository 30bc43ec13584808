using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>
/// Adam (Kingma and Ba 2015) with beta = (0.9, 0.999) and eps = 6.25e-10 (Gao et al.), followed by renormalisation of the decoder's rows: one
/// pass over a latent's two rows. Latents without gradient still move under their momentum.
/// </summary>
internal sealed unsafe class Adam(SaeParameters parameters, SaeParameters first, SaeParameters second, Lanes lanes)
{
    private const float Beta1 = 0.9f, Beta2 = 0.999f, Epsilon = 6.25e-10f;

    // Moments of idle latents decay towards subnormal numbers, which some processors add a hundred times slower: they become 0 before.
    private const float Tiny = 1e-30f, TinySquare = 1e-37f;
    private const int LatentBlock = 32;

    private SaeParameters First { get; } = first;
    private SaeParameters Second { get; } = second;

    /// <param name="gradient">Rows of latents that are not <paramref name="touched"/> are taken as 0.</param>
    /// <param name="touched">[F]</param>
    /// <param name="factor">Multiplies the gradient (clipping).</param>
    /// <param name="rate">Learning rate of this step.</param>
    /// <param name="step">Number of this step, from 1.</param>
    public void Step(SaeParameters gradient, bool[] touched, double factor, double rate, long step)
    {
        var (p, stride) = (parameters, parameters.Stride);
        var size = (float)(rate / (1 - Math.Pow(Beta1, step)));
        var inverse = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, step)));
        lanes.For((p.DSae + LatentBlock - 1) / LatentBlock, (block, _) =>
        {
            for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
            {
                var row = (long)f * stride;
                var c = touched[f] ? (float)factor : 0;
                Row(p.WEnc, First.WEnc, Second.WEnc, gradient.WEnc, row, stride, c, size, inverse);
                var square = Row(p.WDec, First.WDec, Second.WDec, gradient.WDec, row, stride, c, size, inverse);
                if (square > 0)
                    RowKernel.Scale(p.WDec.Pointer + row, 1 / MathF.Sqrt(square), stride);
                One(p.BEnc, First.BEnc, Second.BEnc, c * gradient.BEnc.Pointer[f], f, size, inverse);
            }
        });
        for (var j = 0; j < p.DIn; j++)
            One(p.BDec, First.BDec, Second.BDec, (float)factor * gradient.BDec.Pointer[j], j, size, inverse);
    }

    /// <returns>The squared norm of the new row.</returns>
    private static float Row(AlignedBuffer<float> w, AlignedBuffer<float> m, AlignedBuffer<float> v, AlignedBuffer<float> g, long start, int d, float factor,
        float size, float inverse)
    {
        float* pw = w.Pointer + start, pm = m.Pointer + start, pv = v.Pointer + start, pg = g.Pointer + start;
        V c = Vector256.Create(factor), b1 = Vector256.Create(Beta1), b2 = Vector256.Create(Beta2), eps = Vector256.Create(Epsilon);
        V keep1 = Vector256.Create(1 - Beta1), keep2 = Vector256.Create(1 - Beta2), i = Vector256.Create(inverse), s = Vector256.Create(size);
        var square = V.Zero;
        for (var j = 0; j < d; j += 8)
        {
            var gj = Vector256.Load(pg + j) * c;
            var mj = Vector256.FusedMultiplyAdd(b1, Vector256.Load(pm + j), keep1 * gj);
            var vj = Vector256.FusedMultiplyAdd(b2, Vector256.Load(pv + j), keep2 * (gj * gj));
            mj = Vector256.AndNot(mj, Vector256.LessThan(Vector256.Abs(mj), Vector256.Create(Tiny)));
            vj = Vector256.AndNot(vj, Vector256.LessThan(vj, Vector256.Create(TinySquare)));
            mj.Store(pm + j);
            vj.Store(pv + j);
            var wj = Vector256.Load(pw + j) - s * mj / Vector256.FusedMultiplyAdd(Vector256.Sqrt(vj), i, eps);
            wj.Store(pw + j);
            square = Vector256.FusedMultiplyAdd(wj, wj, square);
        }
        return RowKernel.Sum(square);
    }

    private static void One(AlignedBuffer<float> w, AlignedBuffer<float> m, AlignedBuffer<float> v, float g, int at, float size, float inverse)
    {
        var mj = Beta1 * m.Pointer[at] + (1 - Beta1) * g;
        var vj = Beta2 * v.Pointer[at] + (1 - Beta2) * g * g;
        m.Pointer[at] = mj = MathF.Abs(mj) < Tiny ? 0 : mj;
        v.Pointer[at] = vj = vj < TinySquare ? 0 : vj;
        w.Pointer[at] -= size * mj / (MathF.Sqrt(vj) * inverse + Epsilon);
    }
}
