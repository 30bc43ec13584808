using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed unsafe class RowKernelTests
{
    private const int D = 112;

    [Fact]
    public void Kernels_of_four_rows_have_the_bits_of_one_at_a_time()
    {
        var memory = Random(10 * D);
        float* Row(int i) => memory.Pointer + (i * D);
        var dots = stackalloc float[4];
        RowKernel.Dot4(Row(0), Row(1), Row(2), Row(3), Row(4), dots, D);
        for (var i = 0; i < 4; i++)
            Assert.Equal(RowKernel.Dot(Row(0), Row(1 + i), D), dots[i]);

        var eight = stackalloc float[8];
        RowKernel.Dot2x4(Row(0), Row(5), Row(1), Row(2), Row(3), Row(4), eight, eight + 4, D);
        for (var i = 0; i < 8; i++)
            Assert.Equal(RowKernel.Dot(i < 4 ? Row(0) : Row(5), Row(1 + (i % 4)), D), eight[i]);

        var a = stackalloc float[] { 0.5f, -1.25f, 3, 0.1f };
        var index = stackalloc int[] { 1, 3, 4 };
        float[] sum = [.. Copy(Row(8)).Select(v => -v)];
        for (var i = 0; i < 3; i++)
            for (var j = 0; j < D; j++)
                sum[j] = MathF.FusedMultiplyAdd(a[i], Row(index[i])[j], sum[j]);
        RowKernel.Decode(index, a, 3, memory.Pointer, Row(8), -1, Row(9), D);
        Assert.Equal(sum, Copy(Row(9)));
    }

    [Fact]
    public void Products_with_chosen_rows_have_the_bits_of_one_at_a_time()
    {
        var memory = Random(10 * D);
        int[] chosen = [7, 2, 9, 4, 1, 3];
        foreach (var n in new[] { 0, 1, 4, 6 })
        {
            var dots = new AlignedBuffer<float>(n);
            fixed (int* index = chosen)
                RowKernel.DotEach(index, n, memory.Pointer, memory.Pointer + 5 * D, dots.Pointer, D);
            for (var i = 0; i < n; i++)
                Assert.Equal(RowKernel.Dot(memory.Pointer + 5 * D, memory.Pointer + chosen[i] * D, D), dots.Span[i]);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(61)]
    public void A_sum_and_a_product_are_those_of_a_loop(int n)
    {
        var (a, b) = (Random(n), Random(n));
        var (sum, dot) = RowKernel.SumAndDot(a.Pointer, b.Pointer, n);
        Assert.Equal(a.Span.ToArray().Sum(v => (double)v), sum, 1e-4);
        Assert.Equal(Enumerable.Range(0, n).Sum(i => (double)a.Span[i] * b.Span[i]), dot, 1e-4);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(3, false)]
    [InlineData(4, true)]
    [InlineData(57, false)]
    [InlineData(57, true)]
    public void Sixteen_columns_of_a_weighted_sum_of_rows_are_those_of_a_loop(int n, bool whole)
    {
        const int Rows = 40, Stride = 48;
        var (rows, weights, random) = (Random(Rows * Stride), Random(n), new Random(n));
        var columns = new ColumnBlocks(Rows, Stride, whole);
        for (var i = 0; i < Rows; i++)
            columns.Put(rows.Pointer + i * Stride, i);
        var back = new AlignedBuffer<float>(Stride);
        columns.Get(17, back.Pointer);
        Assert.Equal(rows.Slice(17 * Stride, Stride).ToArray(), back.Span.ToArray());
        int[] row = [.. Enumerable.Range(0, n).Select(_ => random.Next(Rows))];
        var sum = new AlignedBuffer<float>(ColumnBlocks.Width);
        for (var block = 0; block < ColumnBlocks.Count(Stride); block++)
        {
            fixed (int* r = row)
                ColumnBlocks.Sum(r, weights.Pointer, n, columns.Of(block), columns.Step, sum.Pointer);
            for (var j = 0; j < ColumnBlocks.Width; j++)
            {
                // Every fourth has a chain of its own; what is left over goes to the first.
                var chains = new float[4];
                for (var i = 0; i < n; i++)
                {
                    ref var chain = ref chains[i < n / 4 * 4 ? i % 4 : 0];
                    chain = MathF.FusedMultiplyAdd(weights.Span[i], rows.Span[row[i] * Stride + block * ColumnBlocks.Width + j], chain);
                }
                Assert.Equal(chains[0] + chains[1] + (chains[2] + chains[3]), sum.Span[j]);
            }
        }
    }

    private static AlignedBuffer<float> Random(int n)
    {
        var random = new Random(n);
        var memory = new AlignedBuffer<float>(n);
        foreach (ref var value in memory.Span)
            value = (float)Scratch.Normal(random);
        return memory;
    }

    private static float[] Copy(float* row) => new ReadOnlySpan<float>(row, D).ToArray();
}
