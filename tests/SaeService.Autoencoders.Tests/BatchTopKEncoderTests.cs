using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>The top-k of a whole batch against a sort of all its pre-activations.</summary>
public sealed unsafe class BatchTopKEncoderTests
{
    private static readonly Random s_random = new(3);

    public static TheoryData<string> Cases => ["random", "few rows have it all", "all equal", "duplicated rows", "none positive", "fewer than wanted", "k is all", "norms"];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_the_sort_of_all(string name)
    {
        const int D = 20, Latents = 300, Rows = 130;
        var k = name == "k is all" ? Latents : 5;
        Func<int, int, float> weight = name == "all equal" ? (_, _) => 1 : (_, _) => Normal();
        Func<int, float> bias = name switch
        {
            "none positive" => _ => -1000,
            "fewer than wanted" => f => f % 100 == 0 ? 1 : -1000,
            _ => _ => 0.1f * Normal(),
        };
        if (name == "all equal")
            bias = _ => 0;
        var p = new SaeParameters(D, Latents);
        for (var f = 0; f < Latents; f++)
        {
            p.BEnc.Span[f] = bias(f);
            for (var j = 0; j < D; j++)
                p.WEnc.Span[f * p.Stride + j] = weight(f, j);
        }
        var lanes = new Lanes(3);
        var encoder = new BatchTopKEncoder(p.Stride, Latents, k, Rows, lanes);
        encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer);
        var active = new ActiveRows(Rows, k);
        // Later batches start from the least value of the one before, which the last makes far too high.
        foreach (var size in new[] { 1f, 1f, 1.1f, 0.9f, 50f, 0.01f })
        {
            var x = new AlignedBuffer<float>((long)Rows * p.Stride);
            for (var i = 0; i < Rows; i++)
                for (var j = 0; j < D; j++)
                    x.Span[i * p.Stride + j] = size * (name switch
                    {
                        "all equal" => 1,
                        "duplicated rows" when i > 0 => x.Span[j] / size,
                        "few rows have it all" => i % 50 == 7 ? 100 * Normal() : 0.01f * Normal(),
                        "norms" => MathF.Pow(10, i % 7 - 3) * Normal(),
                        _ => Normal(),
                    });
            var least = encoder.Encode(x.Pointer, Rows, active);
            var pre = new float[Rows * Latents];
            for (var i = 0; i < Rows; i++)
                for (var f = 0; f < Latents; f++)
                    pre[i * Latents + f] = RowKernel.Dot(x.Pointer + (long)i * p.Stride, p.WEnc.Pointer + (long)f * p.Stride, p.Stride) + p.BEnc.Span[f];
            var expected = Enumerable.Range(0, pre.Length).Where(e => pre[e] > 0).OrderByDescending(e => pre[e]).ThenBy(e => e).Take(k * Rows).Order().ToArray();
            var actual = Enumerable.Range(0, Rows).SelectMany(i => active.IndicesOf(i).ToArray().Select(f => i * Latents + f)).ToArray();
            Assert.True(expected.SequenceEqual(actual), $"size {size}, least {least}, expected {expected.Length}, actual {actual.Length}");
            Assert.Equal(expected.Select(e => pre[e]), Enumerable.Range(0, Rows).SelectMany(i => active.ValuesOf(i).ToArray()));
            Assert.Equal(expected.Length == k * Rows ? expected.Min(e => pre[e]) : 0, least);
            if (name == "few rows have it all")
                Assert.Contains(Enumerable.Range(0, Rows), i => active.Count.Span[i] > BatchTopKEncoder.PerRow(Latents, k));
        }
        GC.KeepAlive(p);
    }

    private static float Normal() => (float)Scratch.Normal(s_random);
}
