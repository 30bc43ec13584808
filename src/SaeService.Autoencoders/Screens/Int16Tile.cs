using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Register-blocked products of 16-bit integers: tile[r, c] = start[r, c] + sum over the pairs j of x[j, r] w[j, c], each pair multiplied and its two
/// products added to 32 bits in one instruction. The tile stays in registers over the whole sum; every pair of x is broadcast once, every vector of w
/// loaded once. No calls inside: a call would spill the accumulators. The sums are those of integers modulo 2^32: any order gives the same.
/// </summary>
internal static unsafe class Int16Tile
{
    /// <param name="x">[pairs, 8]</param>
    /// <param name="w">[pairs, 32]</param>
    /// <param name="pairs">How many.</param>
    /// <param name="start">[8, 32]</param>
    /// <param name="tile">[8, 32]; may be <paramref name="start"/>.</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Multiply8x32(int* x, int* w, int pairs, int* start, int* tile)
    {
        Vector512<int> a0 = Vector512.Load(start), b0 = Vector512.Load(start + 16), a1 = Vector512.Load(start + 32), b1 = Vector512.Load(start + 48);
        Vector512<int> a2 = Vector512.Load(start + 64), b2 = Vector512.Load(start + 80), a3 = Vector512.Load(start + 96), b3 = Vector512.Load(start + 112);
        Vector512<int> a4 = Vector512.Load(start + 128), b4 = Vector512.Load(start + 144), a5 = Vector512.Load(start + 160), b5 = Vector512.Load(start + 176);
        Vector512<int> a6 = Vector512.Load(start + 192), b6 = Vector512.Load(start + 208), a7 = Vector512.Load(start + 224), b7 = Vector512.Load(start + 240);
        for (var j = 0; j < pairs; j++, x += 8, w += 32)
        {
            Vector512<short> p = Vector512.Load(w).AsInt16(), q = Vector512.Load(w + 16).AsInt16(), r;
            r = Vector512.Create(x[0]).AsInt16(); a0 += Avx512BW.MultiplyAddAdjacent(r, p); b0 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[1]).AsInt16(); a1 += Avx512BW.MultiplyAddAdjacent(r, p); b1 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[2]).AsInt16(); a2 += Avx512BW.MultiplyAddAdjacent(r, p); b2 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[3]).AsInt16(); a3 += Avx512BW.MultiplyAddAdjacent(r, p); b3 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[4]).AsInt16(); a4 += Avx512BW.MultiplyAddAdjacent(r, p); b4 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[5]).AsInt16(); a5 += Avx512BW.MultiplyAddAdjacent(r, p); b5 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[6]).AsInt16(); a6 += Avx512BW.MultiplyAddAdjacent(r, p); b6 += Avx512BW.MultiplyAddAdjacent(r, q);
            r = Vector512.Create(x[7]).AsInt16(); a7 += Avx512BW.MultiplyAddAdjacent(r, p); b7 += Avx512BW.MultiplyAddAdjacent(r, q);
        }
        a0.Store(tile); b0.Store(tile + 16); a1.Store(tile + 32); b1.Store(tile + 48); a2.Store(tile + 64); b2.Store(tile + 80);
        a3.Store(tile + 96); b3.Store(tile + 112); a4.Store(tile + 128); b4.Store(tile + 144); a5.Store(tile + 160); b5.Store(tile + 176);
        a6.Store(tile + 192); b6.Store(tile + 208); a7.Store(tile + 224); b7.Store(tile + 240);
    }

    /// <param name="x">[pairs, 6]</param>
    /// <param name="w">[pairs, 16]</param>
    /// <param name="pairs">How many.</param>
    /// <param name="start">[6, 16]</param>
    /// <param name="tile">[6, 16]; may be <paramref name="start"/>.</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Multiply6x16(int* x, int* w, int pairs, int* start, int* tile)
    {
        Vector256<int> a0 = Vector256.Load(start), b0 = Vector256.Load(start + 8), a1 = Vector256.Load(start + 16), b1 = Vector256.Load(start + 24);
        Vector256<int> a2 = Vector256.Load(start + 32), b2 = Vector256.Load(start + 40), a3 = Vector256.Load(start + 48), b3 = Vector256.Load(start + 56);
        Vector256<int> a4 = Vector256.Load(start + 64), b4 = Vector256.Load(start + 72), a5 = Vector256.Load(start + 80), b5 = Vector256.Load(start + 88);
        for (var j = 0; j < pairs; j++, x += 6, w += 16)
        {
            Vector256<short> p = Vector256.Load(w).AsInt16(), q = Vector256.Load(w + 8).AsInt16(), r;
            r = Vector256.Create(x[0]).AsInt16(); a0 += Avx2.MultiplyAddAdjacent(r, p); b0 += Avx2.MultiplyAddAdjacent(r, q);
            r = Vector256.Create(x[1]).AsInt16(); a1 += Avx2.MultiplyAddAdjacent(r, p); b1 += Avx2.MultiplyAddAdjacent(r, q);
            r = Vector256.Create(x[2]).AsInt16(); a2 += Avx2.MultiplyAddAdjacent(r, p); b2 += Avx2.MultiplyAddAdjacent(r, q);
            r = Vector256.Create(x[3]).AsInt16(); a3 += Avx2.MultiplyAddAdjacent(r, p); b3 += Avx2.MultiplyAddAdjacent(r, q);
            r = Vector256.Create(x[4]).AsInt16(); a4 += Avx2.MultiplyAddAdjacent(r, p); b4 += Avx2.MultiplyAddAdjacent(r, q);
            r = Vector256.Create(x[5]).AsInt16(); a5 += Avx2.MultiplyAddAdjacent(r, p); b5 += Avx2.MultiplyAddAdjacent(r, q);
        }
        a0.Store(tile); b0.Store(tile + 8); a1.Store(tile + 16); b1.Store(tile + 24); a2.Store(tile + 32); b2.Store(tile + 40);
        a3.Store(tile + 48); b3.Store(tile + 56); a4.Store(tile + 64); b4.Store(tile + 72); a5.Store(tile + 80); b5.Store(tile + 88);
    }
}
