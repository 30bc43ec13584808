using SaeService.Autoencoders;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class ControlsTests
{
    private const int D = 16;
    private static readonly LabelledWords Words = Planted.Words();
    private static readonly SparseCodes Matched = Planted.Codes(Words,
        [.. Enumerable.Range(0, 40).Select(n => Planted.Noise(0.005 * n, n)), Planted.Noise(0.9, 99)]);

    [Fact]
    public void Random_directions_have_the_densities_of_the_autoencoder()
    {
        var codes = RandomDirections.Codes(Rows, D, Matched, seed: 1);
        var expected = Densities(Matched);
        var actual = Densities(codes);
        Assert.Equal(expected[..40], actual[..40]);
        Assert.InRange(actual[40], 1, expected[40]); // no projection has 90 % of words above 0
        Assert.All(codes.Value, value => Assert.True(value > 0));
        for (var row = 0; row < codes.Rows; row++)
            for (var n = codes.Start[row] + 1; n < codes.Start[row + 1]; n++)
                Assert.True(codes.Index[n] > codes.Index[n - 1]);
    }

    [Fact]
    public void Random_directions_fire_where_their_projection_is_highest()
    {
        var codes = RandomDirections.Codes(Rows, D, Matched, seed: 1);
        bool Fires(int word) => codes.RowIndex(word).Contains(20);
        var fired = Enumerable.Range(0, Words.Count).Where(Fires).ToHashSet();
        // Words on which a direction fires lie further along their own mean than all others do on average.
        var mean = new double[D];
        var row = new float[D];
        foreach (var word in fired)
        {
            Rows(word, row);
            for (var i = 0; i < D; i++)
                mean[i] += row[i];
        }
        double inside = 0, outside = 0;
        for (var word = 0; word < Words.Count; word++)
        {
            Rows(word, row);
            var along = row.Zip(mean, (a, b) => a * b).Sum();
            if (fired.Contains(word))
                inside += along / fired.Count;
            else
                outside += along / (Words.Count - fired.Count);
        }
        Assert.True(inside > 5 * Math.Abs(outside), $"{inside} inside, {outside} outside");
    }

    [Fact]
    public void Chunks_do_not_change_random_directions()
    {
        var whole = RandomDirections.Codes(Rows, D, Matched, seed: 7);
        var pieces = RandomDirections.Codes(Rows, D, Matched, seed: 7, bytes: 4L * Words.Count * 5);
        Assert.Equal(whole.Index, pieces.Index);
        Assert.Equal(whole.Start, pieces.Start);
        Assert.NotEqual(whole.Index, RandomDirections.Codes(Rows, D, Matched, seed: 8).Index);
    }

    [Fact]
    public void Random_directions_over_noise_establish_nothing()
    {
        var codes = RandomDirections.Codes(Rows, D, Matched, seed: 3);
        Assert.Empty(FeatureLabeller.Run(codes, Words, new LabelRules { BootstrapSamples = 100 }).Layer.Tasks.SelectMany(t => t.Consistent));
    }

    [Fact]
    public void Token_detectors_fire_on_the_frequent_forms_of_train_and_nowhere_else()
    {
        var codes = TokenTypeDetectors.Codes(Words, minTrainWords: 150);
        var train = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) == Part.Train);
        var frequent = train.GroupBy(w => Words.Type[w]).Where(g => g.Count() >= 150).Select(g => g.Key).ToHashSet();
        Assert.Equal([0, 1, 2], frequent.Order());
        Assert.Equal(3, codes.Width);
        for (var word = 0; word < Words.Count; word++)
            Assert.Equal(frequent.Contains(Words.Type[word]) ? 1 : 0, codes.Start[word + 1] - codes.Start[word]);
        var found = FeatureLabeller.Run(codes, Words, new LabelRules { BootstrapSamples = 100 }).Layer.Tasks.Single(t => t.Task == "pos").Consistent;
        Assert.Equal(["D", "D", "P"], found.Select(f => f.DominantLabel)); // pure without any model: why purity is not enough
    }

    private static void Rows(int first, Span<float> destination)
    {
        for (var row = 0; row < destination.Length / D; row++)
        {
            var random = new CounterRandom(77, first + row);
            for (var i = 0; i < D; i++)
                destination[row * D + i] = (float)random.NextNormal();
        }
    }

    private static int[] Densities(SparseCodes codes)
    {
        var densities = new int[codes.Width];
        foreach (var feature in codes.Index)
            densities[feature]++;
        return densities;
    }
}
