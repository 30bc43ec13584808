using System.Runtime.Intrinsics.X86;
using SaeService.Autoencoders.Screens;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>The kernels beside their slow twin: three loops.</summary>
public sealed unsafe class Int16TileTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(16)]
    [InlineData(386)]
    public void A_tile_is_what_it_starts_from_and_the_sum_of_its_products(int d)
    {
        Assert.SkipUnless(Avx2.IsSupported, "the processor has no AVX2");
        Check(d, 6, 16, &Int16Tile.Multiply6x16);
        if (Avx512BW.IsSupported)
            Check(d, 8, 32, &Int16Tile.Multiply8x32);
    }

    private static void Check(int d, int rows, int latents, delegate*<int*, int*, int, int*, int*, void> multiply)
    {
        var random = new Random(d);
        // As large as the screen's scaling lets them be together: no sum may overflow.
        var limit = (int)(46_000 / Math.Sqrt(d));
        short[,] x = new short[rows, d], w = new short[latents, d];
        var packedX = new AlignedBuffer<short>((long)rows * d);
        var packedW = new AlignedBuffer<short>((long)latents * d);
        Fill(x, packedX, rows);
        Fill(w, packedW, latents);
        var (start, tile) = (new AlignedBuffer<int>(rows * latents), new AlignedBuffer<int>(rows * latents));
        foreach (ref var sum in start.Span)
            sum = random.Next(-1000, 1000);
        multiply((int*)packedX.Pointer, (int*)packedW.Pointer, d / 2, start.Pointer, tile.Pointer);
        for (var r = 0; r < rows; r++)
            for (var c = 0; c < latents; c++)
                Assert.Equal(start.Span[(r * latents) + c] + Enumerable.Range(0, d).Sum(j => x[r, j] * w[c, j]), tile.Span[(r * latents) + c]);

        // [pairs][count] of pairs
        void Fill(short[,] values, AlignedBuffer<short> packed, int count)
        {
            for (var i = 0; i < count; i++)
                for (var j = 0; j < d; j++)
                {
                    values[i, j] = (short)(random.Next(4) == 0 ? limit * (random.Next(2) == 0 ? 1 : -1) : random.Next(-limit, limit + 1));
                    packed.Span[((j / 2 * count) + i) * 2 + j % 2] = values[i, j];
                }
        }
    }
}
