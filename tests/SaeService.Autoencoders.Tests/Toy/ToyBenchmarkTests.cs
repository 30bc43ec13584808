using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

public sealed class ToyBenchmarkTests
{
    [Fact]
    public void A_planted_dictionary_is_recovered_one_to_one()
    {
        using var scratch = new Scratch();
        var generator = new BasePaperGenerator(ToyFiring.UncorrelatedFixed, seed: 5, features: 32, dim: 64, nonzero: 2);
        generator.Write(scratch["rows"], 4, cancel: TestContext.Current.CancellationToken);
        using var activations = ActivationFile.Open(scratch["rows"], 64);
        var settings = new SaeTrainingSettings(64, 32, 4, TrainTokens: 600 * 256, BatchTokens: 256, LearningRate: 8e-3);
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, 4 * ToyGenerator.BlockRows)]);
        var floor = DictionaryRecovery.Compare(generator.Direction, 32, trainer.Autoencoder().DecoderRow, 32);
        while (trainer.Step()) { }
        var sae = trainer.Autoencoder();
        var found = DictionaryRecovery.Compare(generator.Direction, 32, sae.DecoderRow, 32);
        Assert.True(floor.Mcc < 0.4, $"random directions have an MCC of {floor.Mcc}");
        Assert.True(found.Mcc > 0.95, $"MCC {found.Mcc}");
        Assert.True(found.Mmcs > 0.95, $"MMCS {found.Mmcs}");
        Assert.Equal(1, found.Uniqueness);
    }

    [Fact]
    public void A_run_gives_a_row_a_case_with_its_floor_and_what_others_have_and_leaves_no_file()
    {
        using var scratch = new Scratch();
        var run = new ToyRun(Steps: 8) { Batch = 512, TrainBlocks = 1 };
        var results = new List<ToyResult>();
        ToyBenchmark.Run([new("uncorrelated", 512, 3), new("correlated", 512, 5), new("uncorrelated", 64, 2)], run, scratch.Folder, results.Add,
            TestContext.Current.CancellationToken);
        Assert.Empty(Directory.GetFiles(scratch.Folder));
        Assert.Equal([("uncorrelated", 512, 3), ("uncorrelated", 64, 2), ("correlated", 512, 5)], results.Select(r => (r.Generator, r.N, r.K)));
        Assert.Equal([2, 0, 1], results.Select(r => r.Peers.Count));
        Assert.Equal((0.703, 0.082), (results[2].Peers[0].Mmcs, results[2].Peers[0].Fvu));
        foreach (var r in results)
        {
            Assert.InRange(r.RandomMmcs, 0.1, 0.25);
            Assert.InRange(r.Mmcs, r.RandomMmcs, 1);
            Assert.InRange(r.Fvu, 0, 1);
            Assert.InRange(r.L0, 0.1, r.K);
            Assert.InRange(r.F1, 0, 1);
            Assert.True(r.Seconds > 0 && r.GenerateSeconds > 0);
            Assert.Equal(4096, r.DistinctRows);
        }
        Assert.Equal(0.97, results[0].TrueL0, 0.05);

        // The same figures again, on another number of threads.
        var again = new List<ToyResult>();
        ToyBenchmark.Run([new("correlated", 512, 5)], run with { Threads = 1 }, scratch.Folder, again.Add, TestContext.Current.CancellationToken);
        Assert.Equal(results[2] with { Seconds = 0, GenerateSeconds = 0, Peers = [] }, again[0] with { Seconds = 0, GenerateSeconds = 0, Peers = [] });
    }

    [Fact]
    public void What_can_not_be_run_is_refused_before_anything_is_generated()
    {
        using var scratch = new Scratch();
        string Refused(ToyCase toy, ToyRun? run = null) => Assert.Throws<ArgumentException>(() =>
            ToyBenchmark.Run([toy], run ?? new(), scratch.Folder, _ => Assert.Fail("it ran"))).Message;
        Assert.Contains("uncorrelated-fixed", Refused(new("correlation", 512, 5)));
        Assert.Contains("K is 600", Refused(new("uncorrelated", 512, 600)));
        Assert.Contains("TrainTokens is 0", Refused(new("uncorrelated", 512, 5), new(Steps: 0)));
        Assert.Contains("TrainBlocks is 0", Refused(new("uncorrelated", 512, 5), new() { TrainBlocks = 0 }));
        Assert.Empty(Directory.GetFiles(scratch.Folder));
        Assert.Equal(["correlated", "uncorrelated", "correlated-fixed", "uncorrelated-fixed", "synthsaebench-1k"], ToyBenchmark.Generators);
    }
}
