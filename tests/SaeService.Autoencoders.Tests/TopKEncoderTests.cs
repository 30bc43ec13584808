using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed unsafe class TopKEncoderTests
{
    /// <summary>The screens that this processor has, by name.</summary>
    public static TheoryData<string> ScreenNames => [.. new[] { "int16x512", "int16x256", "float" }.Where(name => name switch
    {
        "int16x512" => System.Runtime.Intrinsics.X86.Avx512BW.IsSupported,
        "int16x256" => System.Runtime.Intrinsics.X86.Avx2.IsSupported,
        _ => true,
    })];

    [Theory]
    [InlineData(1, 16, 4, 1)]
    [InlineData(8, 16, 4, 7)]
    [InlineData(20, 100, 5, 300)]
    [InlineData(48, 513, 32, 130)]
    [InlineData(16, 40, 40, 9)]
    public void Equals_a_sort_of_all_pre_activations(int d, int latents, int k, int rows)
    {
        var random = new Random(d);
        var sae = Autoencoder(d, latents, k, (_, _) => (float)Scratch.Normal(random), _ => (float)Scratch.Normal(random) * 0.1f);
        var x = Enumerable.Range(0, rows * d).Select(_ => (float)Scratch.Normal(random)).ToArray();
        // Twice, because the second batch starts from guessed thresholds; row norms that vary make the guess fail for some.
        for (var i = 0; i < x.Length; i++)
            x[i] *= 1 + i / d % 3 * 5;
        for (var round = 0; round < 2; round++)
            AssertSorted(sae, x, sae.Encode(x, rows));
    }

    [Fact]
    public void Ties_go_to_the_lower_latent_and_nothing_that_is_not_positive_is_kept()
    {
        // With x = 1 and W = 1 a latent's pre-activation is 1 + bias, exactly.
        float[] bias = [.. Enumerable.Repeat(1f, 200)];
        bias[3] = 2;
        bias[199] = 2;
        bias[0] = -1;
        bias[1] = -5;
        var sae = Autoencoder(1, bias.Length, 4, (_, _) => 1, f => bias[f]);
        var codes = sae.Encode([1f], 1);
        Assert.Equal([2, 3, 4, 199], codes.Index);
        Assert.Equal([2, 3, 2, 3], codes.Value);

        var silent = Autoencoder(1, 50, 4, (_, _) => 1, f => -1 - f % 2).Encode([1f, 0.5f], 2);
        Assert.Equal(0, silent.NonZeros);
        Assert.Equal([0L, 0, 0], silent.Start);
    }

    [Fact]
    public void Every_value_equal_gives_the_first_k_also_after_the_candidate_buffer_overflows()
    {
        var codes = Autoencoder(1, 5000, 7, (_, _) => 1, _ => 0).Encode([1f, 2f, 3f], 3);
        for (var row = 0; row < 3; row++)
            Assert.Equal(Enumerable.Range(0, 7), codes.RowIndex(row).ToArray());
    }

    [Fact]
    public void Ascending_values_overflow_the_buffer_again_and_again_and_denormals_count()
    {
        var rising = Autoencoder(1, 4000, 3, (_, _) => 0, f => (f + 1) * float.Epsilon);
        Assert.Equal([3997, 3998, 3999], rising.Encode([1f], 1).Index);
        var falling = Autoencoder(1, 4000, 3, (_, _) => 0, f => (4000 - f) * float.Epsilon);
        Assert.Equal([0, 1, 2], falling.Encode([1f], 1).Index);
        var mixed = Autoencoder(1, 64, 2, (_, _) => 0, f => f switch { 5 => float.Epsilon, 60 => 1e30f, 9 => -0f, _ => 0 });
        Assert.Equal([5, 60], mixed.Encode([1f], 1).Index);
    }

    [Fact]
    public void Not_finite_input_is_refused_by_row_and_component()
    {
        var sae = Autoencoder(4, 16, 2, (_, _) => 1, _ => 0);
        var x = new float[5000 * 4];
        x[4001 * 4 + 2] = float.NaN;
        Assert.Contains("row 4001, component 2 is NaN", Assert.Throws<ArgumentException>(() => sae.Encode(x, 5000)).Message);
    }

    [Fact]
    public void Any_number_of_threads_gives_the_same_codes()
    {
        var random = new Random(3);
        var x = Enumerable.Range(0, 1000 * 24).Select(_ => (float)Scratch.Normal(random)).ToArray();
        SparseCodes? first = null;
        foreach (var threads in new[] { 1, 2, 3, 8 })
        {
            random = new Random(4);
            var codes = Autoencoder(24, 300, 10, (_, _) => (float)Scratch.Normal(random), _ => 0, threads).Encode(x, 1000);
            first ??= codes;
            Assert.Equal(first.Start, codes.Start);
            Assert.Equal(first.Index, codes.Index);
            Assert.Equal(first.Value, codes.Value);
        }
    }

    /// <summary>
    /// Every screen, over batches that leave it little to go by: what it lets through must hold the k largest, whatever it could tell.
    /// </summary>
    [Theory]
    [MemberData(nameof(ScreenNames))]
    public void Whatever_screens_the_result_is_that_of_float32(string screen)
    {
        foreach (var (name, d, latents, k, rows, weight, bias, input) in Cases())
        {
            var p = Parameters(d, latents, weight, bias);
            var lanes = new Lanes(2);
            var encoder = new TopKEncoder(p.Stride, latents, k, rows, lanes, screen);
            Assert.Equal(screen, encoder.ScreenName);
            encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer, latents);
            var x = new AlignedBuffer<float>((long)rows * p.Stride);
            for (var i = 0; i < rows; i++)
                for (var j = 0; j < d; j++)
                    x.Slice((long)i * p.Stride, d)[j] = input(i, j);
            var top = new ActiveRows(rows, k);
            // The second time from guessed thresholds.
            for (var round = 0; round < 2; round++)
            {
                encoder.Encode(x.Pointer, rows, top);
                for (var i = 0; i < rows; i++)
                {
                    var pre = new float[latents];
                    for (var f = 0; f < latents; f++)
                        pre[f] = Dot(x.Slice((long)i * p.Stride, d), p.WEnc.Slice((long)f * p.Stride, d)) + p.BEnc.Span[f];
                    var expected = Enumerable.Range(0, latents).Where(f => pre[f] > 0).OrderByDescending(f => pre[f]).ThenBy(f => f).Take(k).Order().ToArray();
                    var actual = top.Index.Slice((long)i * k, top.Count.Span[i]).ToArray();
                    Assert.True(expected.AsSpan().SequenceEqual(actual), $"{name}, row {i}: {string.Join(' ', actual)}, not {string.Join(' ', expected)}");
                    Assert.Equal(expected.Select(f => pre[f]), top.Value.Slice((long)i * k, expected.Length).ToArray());
                }
            }
            GC.KeepAlive(p);
        }
    }

    private static IEnumerable<(string Name, int D, int Latents, int K, int Rows, Func<int, int, float> Weight, Func<int, float> Bias, Func<int, int, float> Input)> Cases()
    {
        float Random(int seed, int i, int j) => (float)CounterRandom.Normal(CounterRandom.Key(seed, 9, (ulong)i), (ulong)j);
        yield return ("random", 100, 700, 8, 50, (f, j) => Random(1, f, j), f => 0.1f * Random(2, f, 0), (i, j) => Random(3, i, j));
        yield return ("more kept than not", 40, 90, 64, 30, (f, j) => Random(1, f, j), _ => 0, (i, j) => Random(3, i, j));
        // Each a little above what the threshold has risen to: a limit of integers that is only a little too high lets none of them pass.
        yield return ("slowly rising", 64, 3000, 16, 20, (f, j) => (1 + f * 1e-5f) * MathF.Abs(Random(1, 0, j)), _ => 0, (i, j) => MathF.Abs(Random(3, i, j)));
        yield return ("slowly rising on a bias", 64, 3000, 16, 20, (f, j) => (1 + f * 1e-5f) * MathF.Abs(Random(1, 0, j)), _ => -20, (i, j) => MathF.Abs(Random(3, i, j)));
        yield return ("rising by bias", 64, 3000, 16, 20, (_, j) => MathF.Abs(Random(1, 0, j)), f => 20 + f * 1e-4f, (i, j) => MathF.Abs(Random(3, i, j)));
        yield return ("one component of nearly all", 64, 3000, 16, 20, (f, j) => Random(1, f, j) * (j == 5 ? 100 : 1), _ => 0, (i, j) => Random(3, i, j) * (j == 5 ? 100 : 1));
        yield return ("near ties", 64, 900, 16, 20, (_, j) => Random(1, 0, j), f => f % 7 * 1e-7f, (i, j) => Random(3, i, j));
        yield return ("each latent five times", 64, 1000, 12, 20, (f, j) => Random(1, f / 5, j), _ => 0, (i, j) => Random(3, i, j));
        yield return ("all latents alike", 16, 3000, 5, 7, (_, j) => j, _ => 1, (i, j) => i + j);
        yield return ("nothing but zeros", 32, 200, 5, 7, (_, _) => 0, _ => 0, (_, _) => 0);
        yield return ("zero rows among others", 32, 200, 5, 9, (f, j) => Random(1, f, j), f => 0.01f * (f % 3), (i, j) => i % 3 == 0 ? 0 : Random(3, i, j));
        yield return ("denormal products", 32, 300, 5, 9, (f, j) => 1e-22f * Random(1, f, j), _ => 0, (i, j) => 1e-20f * Random(3, i, j));
        yield return ("denormal activations", 32, 300, 5, 9, (f, j) => 1e10f * Random(1, f, j), _ => 0, (i, j) => 1e-41f * Random(3, i, j));
        yield return ("one latent of huge norm", 48, 400, 6, 20, (f, j) => (f == 77 ? 1e12f : 1) * Random(1, f, j), _ => 0, (i, j) => Random(3, i, j));
        yield return ("one row of huge norm", 48, 400, 6, 20, (f, j) => Random(1, f, j), _ => 0, (i, j) => (i == 3 ? 1e18f : 1) * Random(3, i, j));
        yield return ("squares that overflow", 48, 400, 6, 20, (f, j) => 1e3f * Random(1, f, j), _ => 0, (i, j) => (i % 2 == 0 ? 1e25f : 1e-25f) * Random(3, i, j));
        yield return ("one component far above the rest", 256, 400, 6, 20, (f, j) => (j == 3 ? 1e4f : 1e-3f) * Random(1, f, j), _ => 0,
            (i, j) => (j == 9 ? 1e4f : 1e-3f) * Random(3, i, j));
        yield return ("biases that drown it all", 32, 300, 5, 9, (f, j) => 1e-6f * Random(1, f, j), f => 1e3f + f % 11, (i, j) => Random(3, i, j));
    }

    /// <summary>The pre-activation as it is defined, without vectors.</summary>
    private static float Dot(ReadOnlySpan<float> x, ReadOnlySpan<float> w)
    {
        var chains = new float[16];
        for (var j = 0; j < x.Length; j++)
            chains[j % 16] = MathF.FusedMultiplyAdd(x[j], w[j], chains[j % 16]);
        var eight = Enumerable.Range(0, 8).Select(i => chains[i] + chains[i + 8]).ToArray();
        var four = Enumerable.Range(0, 4).Select(i => eight[i] + eight[i + 4]).ToArray();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    private static SaeParameters Parameters(int d, int latents, Func<int, int, float> weight, Func<int, float> bias)
    {
        var p = new SaeParameters(d, latents);
        for (var f = 0; f < latents; f++)
        {
            for (var j = 0; j < d; j++)
                p.WEnc.Slice((long)f * p.Stride, d)[j] = weight(f, j);
            p.BEnc.Span[f] = bias(f);
        }
        return p;
    }

    private static SparseAutoencoder Autoencoder(int d, int latents, int k, Func<int, int, float> weight, Func<int, float> bias, int? threads = null)
    {
        return new(Parameters(d, latents, weight, bias), k, 1, null, new Lanes(threads));
    }

    private static void AssertSorted(SparseAutoencoder sae, float[] x, SparseCodes codes)
    {
        for (var row = 0; row < codes.Rows; row++)
        {
            var pre = new float[sae.DSae];
            for (var f = 0; f < sae.DSae; f++)
            {
                pre[f] = Dot(x.AsSpan(row * sae.DIn, sae.DIn), sae.EncoderRow(f)) + sae.EncoderBias[f];
            }
            var expected = Enumerable.Range(0, sae.DSae).Where(f => pre[f] > 0).OrderByDescending(f => pre[f]).ThenBy(f => f).Take(sae.K).Order().ToArray();
            Assert.Equal(expected, codes.RowIndex(row).ToArray());
            Assert.Equal(expected.Select(f => pre[f]), codes.RowValue(row).ToArray());
        }
    }
}
