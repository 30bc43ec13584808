using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed unsafe class RowKernelTests
{
    private const int D = 112;

    [Fact]
    public void Kernels_of_four_rows_have_the_bits_of_one_at_a_time()
    {
        var random = new Random(1);
        var memory = new AlignedBuffer<float>(10 * D);
        foreach (ref var value in memory.Span)
            value = (float)Scratch.Normal(random);
        float* Row(int i) => memory.Pointer + (i * D);
        var dots = stackalloc float[4];
        RowKernel.Dot4(Row(0), Row(1), Row(2), Row(3), Row(4), dots, D);
        for (var i = 0; i < 4; i++)
            Assert.Equal(RowKernel.Dot(Row(0), Row(1 + i), D), dots[i]);

        var eight = stackalloc float[8];
        RowKernel.Dot2x4(Row(0), Row(5), Row(1), Row(2), Row(3), Row(4), eight, D);
        for (var i = 0; i < 8; i++)
            Assert.Equal(RowKernel.Dot(i < 4 ? Row(0) : Row(5), Row(1 + (i % 4)), D), eight[i]);

        var a = stackalloc float[] { 0.5f, -1.25f, 3, 0.1f };
        const float C = 0.7f;
        var sum = Copy(Row(6));
        for (var i = 0; i < 4; i++)
            for (var j = 0; j < D; j++)
                sum[j] = MathF.FusedMultiplyAdd(a[i] * C, Row(i + 1)[j], sum[j]);
        RowKernel.DotAndAdd4(Row(1), Row(2), Row(3), Row(4), a, C, Row(5), Row(6), dots, D);
        Assert.Equal(sum, Copy(Row(6)));
        for (var i = 0; i < 4; i++)
            Assert.Equal(C * RowKernel.Dot(Row(1 + i), Row(5), D), dots[i]);

        sum = Copy(Row(7));
        for (var i = 0; i < 4; i++)
            for (var j = 0; j < D; j++)
                sum[j] = MathF.FusedMultiplyAdd(a[i], Row(i + 1)[j], sum[j]);
        RowKernel.AddScaled4(Row(7), a, Row(1), Row(2), Row(3), Row(4), D);
        Assert.Equal(sum, Copy(Row(7)));

        var index = stackalloc int[] { 1, 3, 4 };
        sum = [.. Copy(Row(8)).Select(v => -v)];
        for (var i = 0; i < 3; i++)
            for (var j = 0; j < D; j++)
                sum[j] = MathF.FusedMultiplyAdd(a[i], Row(index[i])[j], sum[j]);
        RowKernel.Decode(index, a, 3, memory.Pointer, Row(8), -1, Row(9), D);
        Assert.Equal(sum, Copy(Row(9)));
    }

    private static float[] Copy(float* row) => new ReadOnlySpan<float>(row, D).ToArray();
}
