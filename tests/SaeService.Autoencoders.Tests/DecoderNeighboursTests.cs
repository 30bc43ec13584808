using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class DecoderNeighboursTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    private string Write(float[] decoder, int d, string name = "W_dec")
    {
        var file = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        // Something before it, as there is in a real file.
        SafetensorsWriter.Write(file, [TensorSource.Of<float>("W_aaa", DType.F32, [3], new float[] { 1, 2, 3 }), TensorSource.Of<float>(name, DType.F32, [decoder.Length / d, d], decoder)]);
        return file;
    }

    [Theory]
    [InlineData(500, 768)]   // several pieces of 341 rows
    [InlineData(7, 5)]
    [InlineData(1, 300_000)] // a row longer than a piece
    public void They_are_those_of_the_highest_cosines_in_double_precision(int f, int d)
    {
        var random = new Random(f);
        var decoder = Enumerable.Range(0, f * d).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        using var neighbours = DecoderNeighbours.Open(Write(decoder, d));
        Assert.Equal((f, d), (neighbours.DSae, neighbours.DIn));
        var direction = neighbours.Direction(f / 2);
        Assert.Equal(decoder[(f / 2 * d)..(f / 2 * d + d)], direction);
        var expected = Enumerable.Range(0, f).Where(i => i != f / 2)
            .Select(i => (Latent: i, Cosine: Dot(decoder.AsSpan(i * d, d), direction) / Math.Sqrt(Dot(decoder.AsSpan(i * d, d), decoder.AsSpan(i * d, d)) * Dot(direction, direction))))
            .OrderByDescending(n => n.Cosine).Take(10).ToList();
        var found = neighbours.Nearest(direction, 10, f / 2, CancellationToken.None);
        Assert.Equal(expected.Select(n => n.Latent), found.Select(n => n.Latent));
        foreach (var (one, other) in expected.Zip(found))
            Assert.Equal(one.Cosine, other.Cosine, 1e-5);
        Assert.Equal((f / 2, 1.0), (neighbours.Nearest(direction, 1, null, CancellationToken.None)[0].Latent, Math.Round(neighbours.Nearest(direction, 1, null, CancellationToken.None)[0].Cosine, 5)));

        static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
        {
            var sum = 0.0;
            for (var i = 0; i < a.Length; i++)
                sum += (double)a[i] * b[i];
            return sum;
        }
    }

    [Fact]
    public void Rows_of_zeros_have_no_direction_and_of_equal_ones_the_first_comes_first()
    {
        using var neighbours = DecoderNeighbours.Open(Write([0, 0, 2, 0, 0, 3, 1, 0, -1, 0], 2));
        Assert.Equal([(1, 1.0), (3, 1.0), (2, 0.0), (4, -1.0)], neighbours.Nearest([5, 0], 10, null, CancellationToken.None));
        Assert.Equal([(1, 1.0), (3, 1.0)], neighbours.Nearest([5, 0], 2, null, CancellationToken.None));
        Assert.Empty(neighbours.Nearest(neighbours.Direction(0), 10, 0, CancellationToken.None));
        Assert.Throws<ArgumentException>(() => neighbours.Nearest([1, 2, 3], 1, null, CancellationToken.None));
        Assert.Throws<ArgumentOutOfRangeException>(() => neighbours.Direction(5));
        Assert.Throws<OperationCanceledException>(() => neighbours.Nearest([1, 0], 1, null, new CancellationToken(canceled: true)));
    }

    [Fact]
    public void What_is_no_decoder_is_refused_by_name()
    {
        Assert.Contains("W_dec", Assert.Throws<CheckpointException>(() => DecoderNeighbours.Open(Write([1, 2], 2, "decoder"))).Message, StringComparison.Ordinal);
        var half = Path.Combine(_folder, "half");
        SafetensorsWriter.Write(half, [TensorSource.Of<Half>("W_dec", DType.F16, [1, 2], new Half[2])]);
        Assert.Contains("F16", Assert.Throws<CheckpointException>(() => DecoderNeighbours.Open(half)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
