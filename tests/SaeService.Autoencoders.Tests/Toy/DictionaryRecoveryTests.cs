using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

public sealed class DictionaryRecoveryTests
{
    private static DictionaryRecovery Compare(float[][] truth, float[][] learned) =>
        DictionaryRecovery.Compare(f => truth[f], truth.Length, l => learned[l], learned.Length);

    [Fact]
    public void The_truth_in_another_order_length_and_sign_is_recovered_whole()
    {
        var truth = Scratch.UnitDirections(20, 16, seed: 1);
        var learned = truth.Select((row, i) => row.Select(v => v * (i + 1) * (i % 2 == 0 ? 1 : -1)).ToArray()).Reverse().ToArray();
        var found = Compare(truth, learned);
        Assert.Equal(1, found.Mcc, 1e-6);
        Assert.Equal(1, found.Uniqueness);
        Assert.Equal(Enumerable.Range(0, 20).Reverse(), found.Nearest);
        // The base paper's figure keeps the sign: half of the truths are met from behind.
        Assert.Equal(truth.Average(t => learned.Max(l => Cosine(t, l))), found.Mmcs, 1e-6);
        Assert.InRange(found.Mmcs, 0.5, 0.9);
    }

    [Fact]
    public void A_latent_learned_twice_counts_once_in_the_assignment()
    {
        float[][] truth = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
        float[][] learned = [[2, 0, 0], [3, 0, 0], [0, 1, 1], [0, 0, 0]];
        var found = Compare(truth, learned);
        Assert.Equal((1 + 2 * Math.Sqrt(0.5)) / 3, found.Mmcs, 1e-12);   // the third latent serves two truths
        Assert.Equal((1 + Math.Sqrt(0.5)) / 3, found.Mcc, 1e-12);        // and here only one
        Assert.Equal(2.0 / 4, found.Uniqueness);
        Assert.Equal([0, 0, 1, 0], found.Nearest);
        Assert.Equal((1 + Math.Sqrt(0.5)) / 2, Compare(truth, learned[1..3]).Mcc, 1e-12);   // over as many pairs as there can be
    }

    [Theory]
    [InlineData(256, 0.176)]
    [InlineData(512, 0.188)]
    public void Random_directions_have_the_floor_that_others_measured(int latents, double floor)
    {
        var (truth, learned) = (new BasePaperGenerator(ToyFiring.Uncorrelated, seed: 1), new BasePaperGenerator(ToyFiring.Uncorrelated, seed: 2));
        var found = DictionaryRecovery.Compare(truth.Direction, truth.Features, learned.Direction, latents);
        Assert.Equal(floor, found.Mmcs, 0.003);
        Assert.InRange(found.Mcc, 0.1, 0.25);
    }

    [Fact]
    public void Precision_recall_and_F1_are_those_of_their_definitions()
    {
        var random = new Random(5);
        int[] nearest = [2, 0, 0, 4, 1];
        var agreement = new FiringAgreement(6, nearest);
        var (truths, learneds) = (new List<HashSet<int>>(), new List<HashSet<int>>());
        foreach (var rows in new[] { 30, 1, 50 })
        {
            var (truth, learned) = (new SparseCodesBuilder(6), new SparseCodesBuilder(5));
            for (var i = 0; i < rows; i++)
            {
                int[] t = [.. Enumerable.Range(0, 6).Where(_ => random.NextDouble() < 0.4)];
                // The last latent is dead.
                int[] l = [.. Enumerable.Range(0, 4).Where(f => random.NextDouble() < (t.Contains(nearest[f]) ? 0.8 : 0.2))];
                truth.Add(t, t.Select(_ => 1f).ToArray());
                learned.Add(l, l.Select(_ => 2f).ToArray());
                truths.Add([.. t]);
                learneds.Add([.. l]);
            }
            agreement.Add(truth.Build(), learned.Build());
        }
        var each = Enumerable.Range(0, 4).Select(l =>
        {
            var both = (double)truths.Zip(learneds).Count(r => r.First.Contains(nearest[l]) && r.Second.Contains(l));
            var (precision, recall) = (both / learneds.Count(r => r.Contains(l)), both / truths.Count(r => r.Contains(nearest[l])));
            return (precision, recall, F1: 2 * precision * recall / (precision + recall));
        }).ToList();
        Assert.Equal(each.Sum(e => e.precision) / 5, agreement.Precision, 1e-12);
        Assert.Equal(each.Sum(e => e.recall) / 5, agreement.Recall, 1e-12);
        Assert.Equal(each.Sum(e => e.F1) / 5, agreement.F1, 1e-12);
        var codes = new SparseCodesBuilder(6).Build();
        Assert.Contains("not of the same rows", Assert.Throws<ArgumentException>(() => agreement.Add(codes, codes)).Message);
    }

    private static double Cosine(float[] a, float[] b) =>
        a.Zip(b, (x, y) => (double)x * y).Sum() / Math.Sqrt(a.Sum(x => (double)x * x) * b.Sum(y => (double)y * y));
}
