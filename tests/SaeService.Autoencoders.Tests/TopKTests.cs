using SaeService.Autoencoders.Screens;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>Selection from short lists, in which numbers repeat, against a sort and against the loop that it stands for.</summary>
public sealed unsafe class TopKTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(33, 32)]
    [InlineData(40, 32)]
    [InlineData(41, 32)]
    [InlineData(115, 32)]
    [InlineData(600, 5)]
    [InlineData(20, 32)]
    public void The_k_largest_are_kept_in_their_order_and_of_equals_the_first(int n, int k)
    {
        var random = new Random(n * 1000 + k);
        foreach (var different in new[] { 1, 2, 5, 100_000 })
        {
            float[] numbers = [.. Enumerable.Range(0, n).Select(_ => random.Next(different) * (random.Next(8) == 0 ? float.Epsilon : 0.37f))];
            var (values, latents) = Buffers(numbers);
            var kept = TopK.Select(values.Pointer, latents.Pointer, n, k, out var least);
            int[] expected = [.. Enumerable.Range(0, n).OrderByDescending(i => numbers[i]).ThenBy(i => i).Take(k).Order()];
            Assert.Equal(expected, latents.Slice(0, kept).ToArray());
            Assert.Equal(expected.Select(i => numbers[i]), values.Slice(0, kept).ToArray());
            Assert.Equal(n < k ? 0 : expected.Min(i => numbers[i]), least);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(13)]
    [InlineData(200)]
    public void Eight_at_a_time_the_same_are_sieved_as_one_by_one(int n)
    {
        var random = new Random(n);
        float[] numbers = [.. Enumerable.Range(0, n).Select(_ => (float)random.Next(6))];
        foreach (var least in new[] { -1f, 3, 5, 6 })
        {
            var (values, latents) = Buffers(numbers);
            var (expectedValues, expectedLatents) = Buffers(numbers);
            var kept = Sieve.NotBelow(values.Pointer, latents.Pointer, n, least);
            Assert.Equal(numbers.Count(v => v >= least), kept);
            Assert.Equal(kept, Sieve.NotBelowOneByOne(expectedValues.Pointer, expectedLatents.Pointer, n, least));
            Assert.Equal(expectedValues.Slice(0, kept).ToArray(), values.Slice(0, kept).ToArray());
            Assert.Equal(expectedLatents.Slice(0, kept).ToArray(), latents.Slice(0, kept).ToArray());
        }
    }

    private static (AlignedBuffer<float> Values, AlignedBuffer<int> Latents) Buffers(float[] numbers)
    {
        // What is behind them must not matter.
        var (values, latents) = (new AlignedBuffer<float>(numbers.Length + 8), new AlignedBuffer<int>(numbers.Length + 8));
        values.Span.Fill(7);
        numbers.CopyTo(values.Span);
        for (var i = 0; i < numbers.Length; i++)
            latents.Span[i] = i;
        return (values, latents);
    }
}
