using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Chosen values and their latents, one behind another in their order: eight at a time and without a branch, because which are chosen can not be
/// foreseen and a branch that was foreseen wrongly costs more than all of it.
/// </summary>
internal static unsafe class Sieve
{
    private static readonly AlignedBuffer<ulong> s_lanes = Lanes();   // [256], eight bytes each: which lanes a mask has, in order

    /// <summary>Writes those of eight values and latents that <paramref name="mask"/> has; behind them is rubbish, up to eight in all.</summary>
    /// <returns>How many it has.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Put(Vector256<float> values, Vector256<int> latents, uint mask, float* toValues, int* toLatents)
    {
        if (!Avx2.IsSupported)
            return PutOneByOne(values, latents, mask, toValues, toLatents);
        var order = Avx2.ConvertToVector256Int32((byte*)(s_lanes.Pointer + mask));
        Avx2.PermuteVar8x32(values, order).Store(toValues);
        Avx2.PermuteVar8x32(latents, order).Store(toLatents);
        return BitOperations.PopCount(mask);
    }

    private static int PutOneByOne(Vector256<float> values, Vector256<int> latents, uint mask, float* toValues, int* toLatents)
    {
        var kept = 0;
        for (; mask != 0; mask &= mask - 1)
        {
            var lane = BitOperations.TrailingZeroCount(mask);
            toValues[kept] = values[lane];
            toLatents[kept++] = latents[lane];
        }
        return kept;
    }

    /// <summary>Moves what is not below <paramref name="least"/> to the front.</summary>
    /// <param name="values">[n], with room for 8 more.</param>
    /// <param name="latents">[n], with room for 8 more.</param>
    /// <returns>How many there are.</returns>
    public static int NotBelow(float* values, int* latents, int n, float least)
    {
        if (!Avx2.IsSupported)
            return NotBelowOneByOne(values, latents, n, least);
        var bound = Vector256.Create(least);
        var kept = 0;
        for (var i = 0; i < n; i += 8)
        {
            var some = Vector256.Load(values + i);
            var there = n - i < 8 ? (1u << (n - i)) - 1 : 0xFF;
            var mask = Vector256.GreaterThanOrEqual(some, bound).ExtractMostSignificantBits() & there;
            kept += Put(some, Vector256.Load(latents + i), mask, values + kept, latents + kept);
        }
        return kept;
    }

    /// <summary>The same, as it is meant.</summary>
    public static int NotBelowOneByOne(float* values, int* latents, int n, float least)
    {
        var kept = 0;
        for (var i = 0; i < n; i++)
            if (values[i] >= least)
            {
                values[kept] = values[i];
                latents[kept++] = latents[i];
            }
        return kept;
    }

    private static AlignedBuffer<ulong> Lanes()
    {
        var lanes = new AlignedBuffer<ulong>(256);
        for (var mask = 0; mask < 256; mask++)
            for (int lane = 0, at = 0; lane < 8; lane++)
                if ((mask >> lane & 1) != 0)
                    lanes.Pointer[mask] |= (ulong)lane << (8 * at++);
        return lanes;
    }
}
