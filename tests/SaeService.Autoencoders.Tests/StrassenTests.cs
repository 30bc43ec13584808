using System.Runtime.Intrinsics.X86;
using SaeService.Autoencoders.Screens;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>Seven products of halves beside their slow twin: three loops.</summary>
public sealed unsafe class StrassenTests
{
    [Theory]
    [InlineData(16, 1)]
    [InlineData(48, 3)]
    [InlineData(512, 2)]
    public void Seven_products_of_halves_are_the_whole_product(int d, int tiles)
    {
        Assert.SkipUnless(Avx2.IsSupported, "the processor has no AVX2");
        foreach (var extreme in new[] { false, true })
        {
            Check(d, tiles, 6, 16, &Int16Tile.Multiply6x16, extreme);
            if (Avx512BW.IsSupported)
                Check(d, tiles, 8, 32, &Int16Tile.Multiply8x32, extreme);
        }
    }

    private static void Check(int d, int tiles, int rows, int latents, delegate*<int*, int*, int, int*, int*, void> multiply, bool extreme)
    {
        var random = new Random(d);
        var pairs = d / 2;
        int[,] x = new int[2 * rows * tiles, d], w = new int[2 * latents, d];
        var memory = new AlignedBuffer<byte>(Strassen.Bytes(tiles, pairs, rows, latents));
        var panel = new AlignedBuffer<int>(2L * latents * pairs);
        var product = new Strassen(memory.Pointer, tiles, pairs, rows, latents);
        for (var r = 0; r < 2 * rows * tiles; r++)
        {
            product.PlaceRow(r, out var first, out var second);
            Fill(x, r, first, second, rows);
        }
        for (var c = 0; c < 2 * latents; c++)
        {
            Strassen.PlaceLatent(panel.Pointer, c, pairs, latents, out var first, out var second);
            Fill(w, c, first, second, latents);
        }
        product.SumRows();
        var sink = new Sink(new int[2 * rows * tiles, 2 * latents], rows, latents);
        product.Multiply(panel.Pointer, multiply, ref sink);
        for (var r = 0; r < 2 * rows * tiles; r++)
            for (var c = 0; c < 2 * latents; c++)
            {
                // Modulo 2^32, as what is this large is never asked for.
                var sum = 0;
                for (var j = 0; j < d; j++)
                    sum = unchecked(sum + (x[r, j] * w[c, j]));
                Assert.Equal(sum, sink.Sums[r, c]);
            }

        // Components in the order of the pairs: the first half's, then the second's.
        void Fill(int[,] values, int i, int* first, int* second, int step)
        {
            for (var j = 0; j < d; j++)
                values[i, j] = extreme ? Strassen.Largest * (random.Next(2) == 0 ? 1 : -1) : random.Next(-Strassen.Largest, Strassen.Largest + 1);
            for (var pair = 0; pair < pairs / 2; pair++)
            {
                first[pair * step] = Pair(values[i, 2 * pair], values[i, (2 * pair) + 1]);
                second[pair * step] = Pair(values[i, pairs + (2 * pair)], values[i, pairs + (2 * pair) + 1]);
            }
        }
    }

    private static int Pair(int low, int high) => (low & 0xFFFF) | high << 16;

    private readonly struct Sink(int[,] sums, int rows, int latents) : Strassen.ISink
    {
        public int[,] Sums => sums;

        public void Take(int tile, bool upper, bool left, int* part)
        {
            for (var r = 0; r < rows; r++)
                for (var c = 0; c < latents; c++)
                    sums[(((2 * tile) + (upper ? 0 : 1)) * rows) + r, (left ? 0 : latents) + c] = part[(r * latents) + c];
        }
    }
}
