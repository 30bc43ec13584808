using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

public sealed class ToyGeneratorTests
{
    private const int Rows = ToyGenerator.BlockRows;

    private static ToyGenerator Small(string name, long seed) => name switch
    {
        "synth" => new SynthGenerator(seed, new(Features: 300, Dim: 24, Roots: 10) { OrthogonalSteps = 3 }),
        _ => new BasePaperGenerator(Enum.Parse<ToyFiring>(name), seed, features: 96, dim: 24, nonzero: 3),
    };

    [Theory]
    [InlineData("Uncorrelated")]
    [InlineData("Correlated")]
    [InlineData("UncorrelatedFixed")]
    [InlineData("CorrelatedFixed")]
    [InlineData("synth")]
    public void A_file_is_a_function_of_the_seed_and_holds_what_its_codes_say(string name)
    {
        using var scratch = new Scratch();
        var cancel = TestContext.Current.CancellationToken;
        Small(name, 7).Write(scratch["one"], 3, threads: 1, cancel);
        Small(name, 7).Write(scratch["three"], 3, threads: 3, cancel);
        Small(name, 8).Write(scratch["other"], 3, cancel: cancel);
        Assert.Equal(File.ReadAllBytes(scratch["one"]), File.ReadAllBytes(scratch["three"]));
        Assert.NotEqual(File.ReadAllBytes(scratch["one"]), File.ReadAllBytes(scratch["other"]));

        var generator = Small(name, 7);
        using var file = ActivationFile.Open(scratch["one"], 24);
        var (last, expected) = (new float[Rows * 24], new float[Rows * 24]);
        file.Read(2 * Rows, last);
        var codes = generator.Codes(2);
        generator.Render(codes, expected);
        Assert.Equal(expected, last);
        // The codes themselves: in order, positive, and no block like another.
        Assert.All(Enumerable.Range(0, Rows), i => Assert.Equal(codes.RowIndex(i).ToArray().Order().Distinct(), codes.RowIndex(i).ToArray()));
        Assert.DoesNotContain(codes.Value, v => !(v > 0));
        Assert.NotEqual(codes.Index, generator.Codes(1).Index);
        // A row by hand, in double.
        var empty = new float[24];
        var none = new SparseCodesBuilder(generator.Features);
        none.Add([], []);
        generator.Render(none.Build(), empty);
        var row = Enumerable.Range(0, Rows).MaxBy(i => codes.RowIndex(i).Length);
        for (var j = 0; j < 24; j++)
        {
            double sum = empty[j];
            for (var a = 0; a < codes.RowIndex(row).Length; a++)
                sum += (double)codes.RowValue(row)[a] * generator.Direction(codes.RowIndex(row)[a])[j];
            Assert.Equal(sum, expected[row * 24 + j], 1e-5);
        }
    }

    [Fact]
    public void The_uncorrelated_mode_keeps_the_papers_quirk_and_the_fixed_one_mends_it()
    {
        var quirk = new BasePaperGenerator(ToyFiring.Uncorrelated, 1);
        var mended = new BasePaperGenerator(ToyFiring.UncorrelatedFixed, 1);
        var decay = Enumerable.Range(0, 512).Select(i => Math.Pow(0.99, i)).ToArray();
        double[] p = [.. decay.Select(v => v * 5 / 512)], q = [.. decay.Select(v => v * 5 / decay.Sum())];
        Assert.Equal(0.97, p.Sum(), 0.005);
        var rare = Count(quirk, 8);
        AssertBinomial(p, rare.Fired, 8 * Rows);
        Assert.Equal(0.38, (double)rare.Empty / (8 * Rows), 0.01);
        Assert.Equal(0.5, rare.Strength, 0.01);
        var often = Count(mended, 4);
        AssertBinomial(q, often.Fired, 4 * Rows);
        Assert.Equal(5, often.Mean, 0.06);
        Assert.Equal(q.Sum(v => v * (1 - v)), often.Variance, 0.25);   // independent
    }

    [Fact]
    public void The_correlated_mode_draws_its_probabilities_once_for_a_block()
    {
        var generator = new BasePaperGenerator(ToyFiring.Correlated, 2);
        var p = Enumerable.Range(0, 6).Select(b => generator.BlockProbabilities(b)).ToArray();
        Assert.All(p, block => Assert.Equal(5.0 / 512, block.Average(), 1e-12));
        // Over blocks the early features are the frequent ones (published: .049 at rank 0, .031 at 50, .0066 at 200); in each about a third of them is off.
        var mean = Enumerable.Range(0, 512).Select(f => Enumerable.Range(0, 150).Average(b => generator.BlockProbabilities(b)[f])).ToArray();
        Assert.Equal(0.049, mean[..10].Average(), 0.006);
        Assert.Equal(0.031, mean[45..56].Average(), 0.004);
        Assert.Equal(0.0066, mean[195..206].Average(), 0.001);
        foreach (var block in p)
            Assert.InRange(Enumerable.Range(0, 512).Count(f => block[f] < 0.05 * 0.1 * Math.Pow(0.99, f)) / 512.0, 0.15, 0.45);
        foreach (var b in new[] { 0, 5 })
        {
            var found = Count(generator, 1, firstBlock: b);
            AssertBinomial(p[b], found.Fired, Rows, fallback: 1);
            Assert.Equal(0, found.Empty);
            // e^-5 of the rows would have been empty; a random feature stands in for each, at strength 1.
            Assert.InRange(found.Ones, 8, 60);
            Assert.Equal(5 + (double)found.Ones / Rows, found.Mean, 0.15);
        }
    }

    [Fact]
    public void The_fixed_correlated_mode_has_the_same_frequencies_and_features_that_come_together()
    {
        var generator = new BasePaperGenerator(ToyFiring.CorrelatedFixed, 3);
        var decay = Enumerable.Range(0, 512).Select(i => Math.Pow(0.99, i)).ToArray();
        double[] p = [.. decay.Select(v => v * 5 / decay.Sum())];
        var found = Count(generator, 3);
        AssertBinomial(p, found.Fired, 3 * Rows);
        Assert.Equal(5, found.Mean, 0.15);
        // Var = sum p (1 - p) + sum over pairs of their covariance, about rho φ(t_i) φ(t_j) of the copula: more than twice that of independent features.
        var density = p.Sum(v => Math.Exp(-0.5 * Math.Pow(NormalDistribution.Quantile(v), 2)) / Math.Sqrt(2 * Math.PI));
        Assert.Equal(p.Sum(v => v * (1 - v)) + 0.052 * density * density, found.Variance, 2.0);
        Assert.True(found.Variance > 2 * p.Sum(v => v * (1 - v)));
    }

    [Fact]
    public void Synthetic_features_fire_with_their_parent_one_sibling_at_a_time_in_proportion_to_it()
    {
        var settings = new SynthSettings();
        var generator = new SynthGenerator(4, settings);
        var tree = new FeatureTree(settings.Features, settings.Roots, settings.Branching, settings.Depth);
        Assert.Equal(settings.Features, tree.Size);
        double Mean(int f) => 5 - f / 1023.0;
        var fired = new long[settings.Features];
        var (ratios, ofChildren) = (0.0, 0);
        const int Blocks = 4;
        for (var block = 0; block < Blocks; block++)
        {
            var codes = generator.Codes(block);
            for (var i = 0; i < codes.Rows; i++)
            {
                var strength = new Dictionary<int, float>();
                var families = new HashSet<int>();
                for (var a = 0; a < codes.RowIndex(i).Length; a++)
                {
                    var f = codes.RowIndex(i)[a];
                    strength[f] = codes.RowValue(i)[a];
                    fired[f]++;
                    if (tree.Parent(f) is not { } parent)
                        continue;
                    Assert.True(strength.ContainsKey(parent), $"feature {f} fires without its parent {parent}");
                    Assert.True(families.Add(parent), $"two children of {parent} fire at once");
                    ratios += strength[f] * Mean(parent) / strength[parent] / Mean(f);
                    ofChildren++;
                }
            }
        }
        Assert.Equal(1, ratios / ofChildren, 0.02);   // a child's own strength, once the parent's is taken out
        // Children whose probabilities add up to more than their parent's can not all have theirs, since one fires at a time.
        double Often(int f) => fired[f] / (double)(Blocks * Rows);
        Assert.Equal(10.6, Enumerable.Range(0, 1024).Sum(Often), 0.2);
        Assert.Equal(8.0, Enumerable.Range(0, 256).Sum(Often), 0.2);   // the k of an autoencoder of 256 latents
        for (var f = 0; f < 32; f++)
            Assert.Equal(generator.FiringProbability[f], Often(f), 0.02);
        Assert.Equal(0.4, generator.FiringProbability[0], 1e-12);
        Assert.Equal(5e-4, generator.FiringProbability[^1], 1e-12);

        // Directions: of length 1 and nearer to orthogonal than random ones (mean square 1/d), though no nearer than the Welch bound.
        var square = 0.0;
        for (var i = 0; i < 1024; i++)
        {
            Assert.Equal(1, Dot(generator.Direction(i), generator.Direction(i)), 1e-6);
            for (var j = 0; j < i; j++)
                square += 2 * Math.Pow(Dot(generator.Direction(i), generator.Direction(j)), 2);
        }
        Assert.InRange(square / (1024 * 1023), (1024.0 - 96) / (96 * 1023), 0.99 / 96);
        var (bias, none) = (new float[96], new SparseCodesBuilder(1024));
        none.Add([], []);
        generator.Render(none.Build(), bias);
        Assert.Equal(0.25, Dot(bias, bias), 1e-6);
    }

    [Fact]
    public void At_full_size_as_many_features_fire_as_in_the_published_model()
    {
        // "~34 active features per sample", "~25 if we just consider the top 4096" (documentation of SynthSAEBench-16k). The width of x plays no part in it.
        var generator = new SynthGenerator(42, new(Features: 16_384, Dim: 2, Roots: 128) { OrthogonalSteps = 0 });
        var codes = generator.Codes(0);
        Assert.Equal(34, (double)codes.NonZeros / codes.Rows, 1.0);
        Assert.Equal(25, (double)codes.Index.Count(f => f < 4096) / codes.Rows, 1.0);
    }

    [Fact]
    public void Trees_are_numbered_breadth_first_and_their_probabilities_compensated()
    {
        var full = new FeatureTree(16384, 128, 4, 3);   // the 16k model
        Assert.Equal((128, 128 * (1 + 4 + 16 + 64)), (full.Roots, full.Size));
        Assert.Equal((128, 4), full.Children(0));
        Assert.Equal(127, full.Parent(128 + 127 * 4 + 3));
        Assert.Null(full.Parent(127));
        Assert.Null(full.Parent(full.Size));
        var tree = new FeatureTree(6, 1, 2, 3);   // 0 -> 1 2, 1 -> 3 4, 2 -> 5
        Assert.Equal([null, 0, 0, 1, 1, 2], Enumerable.Range(0, 6).Select(tree.Parent));
        Assert.Equal((5, 1), tree.Children(2));
        var q = tree.Compensated([0.5, 0.2, 0.1, 0.04, 0.02, 0.05]);
        double[] expected =
        [
            0.5, 0.2 / 0.5 * (1 + 0.1 / 0.5), 0.1 / 0.5 * (1 + 0.2 / 0.5), 0.04 / 0.2 * (1 + 0.02 / 0.2), 0.02 / 0.2 * (1 + 0.04 / 0.2), 0.05 / 0.1,
        ];
        Assert.All(expected.Zip(q), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
    }

    private sealed record Counts(long[] Fired, long Empty, long Ones, double Strength, double Mean, double Variance);

    private static Counts Count(ToyGenerator generator, int blocks, int firstBlock = 0)
    {
        var fired = new long[generator.Features];
        var (empty, ones, strength, sum, squares) = (0L, 0L, 0.0, 0.0, 0.0);
        for (var block = firstBlock; block < firstBlock + blocks; block++)
        {
            var codes = generator.Codes(block);
            foreach (var f in codes.Index)
                fired[f]++;
            for (var i = 0; i < codes.Rows; i++)
            {
                var n = codes.RowIndex(i).Length;
                empty += n == 0 ? 1 : 0;
                ones += n == 1 && codes.RowValue(i)[0] == 1 ? 1 : 0;
                (sum, squares) = (sum + n, squares + n * n);
            }
            strength += codes.Value.Average(v => (double)v);
        }
        var mean = sum / (blocks * Rows);
        return new(fired, empty, ones, strength / blocks, mean, squares / (blocks * Rows) - mean * mean);
    }

    /// <summary>Every count within five standard deviations of its expectation.</summary>
    private static void AssertBinomial(double[] p, long[] fired, int rows, double fallback = 0)
    {
        for (var f = 0; f < p.Length; f++)
        {
            var deviation = Math.Sqrt(rows * p[f] * (1 - p[f]));
            Assert.True(Math.Abs(fired[f] - rows * p[f]) < 5 * deviation + 3 + fallback,
                $"feature {f} fired {fired[f]} times, {rows * p[f]} ± {deviation} were expected");
        }
    }

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = 0.0;
        for (var j = 0; j < a.Length; j++)
            sum += (double)a[j] * b[j];
        return sum;
    }
}
