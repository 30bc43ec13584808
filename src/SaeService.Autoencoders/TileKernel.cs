using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>
/// The inner loop of the encoder: a register-blocked tile of <see cref="Rows"/> tokens by <see cref="Latents"/> latents. Every element is one
/// chain of fused multiply-adds from the bias over d in ascending order, so its bits do not depend on the tile it falls into.
/// </summary>
internal static unsafe class TileKernel
{
    public const int Rows = 6;
    public const int Latents = 16;

    /// <summary>tile[r, c] = bias[c] + sum_j x[j, r] w[j, c]. No calls inside: a call would spill the twelve accumulators.</summary>
    /// <param name="x">[d, 6]</param>
    /// <param name="w">[d, 16]</param>
    /// <param name="d">Length of the sum, even.</param>
    /// <param name="bias">[16]</param>
    /// <param name="tile">[6, 16]</param>
    public static void Multiply(float* x, float* w, int d, float* bias, float* tile)
    {
        V a0 = Vector256.Load(bias), b0 = Vector256.Load(bias + 8);
        V a1 = a0, b1 = b0, a2 = a0, b2 = b0, a3 = a0, b3 = b0, a4 = a0, b4 = b0, a5 = a0, b5 = b0;
        for (var j = 0; j < d; j += 2, x += 2 * Rows, w += 2 * Latents)
        {
            V wa = Vector256.Load(w), wb = Vector256.Load(w + 8), r;
            r = Vector256.Create(x[0]); a0 = Vector256.FusedMultiplyAdd(r, wa, a0); b0 = Vector256.FusedMultiplyAdd(r, wb, b0);
            r = Vector256.Create(x[1]); a1 = Vector256.FusedMultiplyAdd(r, wa, a1); b1 = Vector256.FusedMultiplyAdd(r, wb, b1);
            r = Vector256.Create(x[2]); a2 = Vector256.FusedMultiplyAdd(r, wa, a2); b2 = Vector256.FusedMultiplyAdd(r, wb, b2);
            r = Vector256.Create(x[3]); a3 = Vector256.FusedMultiplyAdd(r, wa, a3); b3 = Vector256.FusedMultiplyAdd(r, wb, b3);
            r = Vector256.Create(x[4]); a4 = Vector256.FusedMultiplyAdd(r, wa, a4); b4 = Vector256.FusedMultiplyAdd(r, wb, b4);
            r = Vector256.Create(x[5]); a5 = Vector256.FusedMultiplyAdd(r, wa, a5); b5 = Vector256.FusedMultiplyAdd(r, wb, b5);
            wa = Vector256.Load(w + 16); wb = Vector256.Load(w + 24);
            r = Vector256.Create(x[6]); a0 = Vector256.FusedMultiplyAdd(r, wa, a0); b0 = Vector256.FusedMultiplyAdd(r, wb, b0);
            r = Vector256.Create(x[7]); a1 = Vector256.FusedMultiplyAdd(r, wa, a1); b1 = Vector256.FusedMultiplyAdd(r, wb, b1);
            r = Vector256.Create(x[8]); a2 = Vector256.FusedMultiplyAdd(r, wa, a2); b2 = Vector256.FusedMultiplyAdd(r, wb, b2);
            r = Vector256.Create(x[9]); a3 = Vector256.FusedMultiplyAdd(r, wa, a3); b3 = Vector256.FusedMultiplyAdd(r, wb, b3);
            r = Vector256.Create(x[10]); a4 = Vector256.FusedMultiplyAdd(r, wa, a4); b4 = Vector256.FusedMultiplyAdd(r, wb, b4);
            r = Vector256.Create(x[11]); a5 = Vector256.FusedMultiplyAdd(r, wa, a5); b5 = Vector256.FusedMultiplyAdd(r, wb, b5);
        }
        a0.Store(tile); b0.Store(tile + 8); a1.Store(tile + 16); b1.Store(tile + 24); a2.Store(tile + 32); b2.Store(tile + 40);
        a3.Store(tile + 48); b3.Store(tile + 56); a4.Store(tile + 64); b4.Store(tile + 72); a5.Store(tile + 80); b5.Store(tile + 88);
    }
}
