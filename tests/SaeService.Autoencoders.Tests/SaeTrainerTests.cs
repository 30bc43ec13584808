using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class SaeTrainerTests
{
    private static readonly SaeTrainingSettings Small = new(12, 120, 2, Seed: 3, TrainTokens: 40 * 64, BatchTokens: 64) { DeadAfterTokens = 64 };

    [Fact]
    public void Resumed_at_any_step_the_run_ends_in_the_same_bytes()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(500, 12);
        var rows = Enumerable.Range(0, 500).Where(i => i % 7 != 0).ToArray();
        var undisturbed = new SaeTrainer(Small, activations, rows, threads: 2);
        while (undisturbed.Step()) { }
        undisturbed.SaveCheckpoint(scratch["whole"]);
        Assert.Contains(undisturbed.Curve, c => c.AuxLoss > 0);
        foreach (var stop in new[] { 0, 1, 7, 20, 39 })
        {
            var killed = new SaeTrainer(Small, activations, rows, threads: 1);
            for (var s = 0; s < stop; s++)
                killed.Step();
            killed.SaveCheckpoint(scratch["part"]);
            killed.Step();
            var resumed = SaeTrainer.Resume(scratch["part"], Small, activations, rows, threads: 3);
            Assert.Equal(stop * 64, resumed.TokensSeen);
            while (resumed.Step()) { }
            resumed.SaveCheckpoint(scratch["resumed"]);
            Assert.Equal(File.ReadAllBytes(scratch["whole"]), File.ReadAllBytes(scratch["resumed"]));
            Assert.Equal(undisturbed.Curve, resumed.Curve);
        }
        Assert.Equal(["activations.f32", "part", "resumed", "whole"], Directory.GetFiles(scratch.Folder).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void The_number_of_threads_does_not_matter(int threads)
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(3000, 40);
        var settings = new SaeTrainingSettings(40, 200, 8, TrainTokens: 12 * 700, BatchTokens: 700) { DeadAfterTokens = 1500 };
        var rows = Enumerable.Range(0, 3000).ToArray();
        foreach (var (name, count) in new[] { ("one", 1), ("many", threads) })
        {
            var trainer = new SaeTrainer(settings, activations, rows, count);
            while (trainer.Step()) { }
            trainer.SaveCheckpoint(scratch[name]);
        }
        Assert.Equal(File.ReadAllBytes(scratch["one"]), File.ReadAllBytes(scratch["many"]));
    }

    [Fact]
    public void A_checkpoint_of_another_run_is_refused()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(300, 12);
        using var others = scratch.Activations(300, 12, (i, j) => MathF.Sin(i * 12 + j), "others");
        var rows = Enumerable.Range(0, 300).ToArray();
        var trainer = new SaeTrainer(Small, activations, rows);
        trainer.Step();
        trainer.SaveCheckpoint(scratch["c"]);
        Assert.Contains("other settings", Refused(Small with { Seed = 4 }, activations, rows));
        Assert.Contains("other training rows", Refused(Small, activations, rows[1..]));
        Assert.Contains("other activations", Refused(Small, others, rows));
        trainer.Autoencoder().Encode(new float[12], 1).Save(scratch["c"]);
        Assert.Contains("no checkpoint", Refused(Small, activations, rows));

        string Refused(SaeTrainingSettings s, ActivationFile a, int[] r) => Assert.Throws<InvalidDataException>(() => SaeTrainer.Resume(scratch["c"], s, a, r)).Message;
    }

    [Fact]
    public void A_planted_dictionary_is_found()
    {
        using var scratch = new Scratch();
        var truth = Scratch.UnitDirections(64, 32, seed: 11);
        using var activations = scratch.Planted(20_000, truth, active: 3, seed: 12);
        var rows = Enumerable.Range(0, 20_000).ToArray();
        var settings = new SaeTrainingSettings(32, 128, 6, TrainTokens: 400_000, BatchTokens: 512);
        var trainer = new SaeTrainer(settings, activations, rows[..18_000]);
        var floor = trainer.Autoencoder();
        var before = Scratch.MeanMaxCosine(truth, f => floor.DecoderRow(f).ToArray(), 128);
        while (trainer.Step()) { }
        var sae = trainer.Autoencoder();
        var after = Scratch.MeanMaxCosine(truth, f => sae.DecoderRow(f).ToArray(), 128);
        var quality = Quality.Evaluate(sae, activations, rows.AsSpan(18_000));
        Assert.True(before < 0.6, $"floor {before}");
        Assert.True(after > 0.9, $"mean max cosine {after}, random floor {before}");
        Assert.True(quality.Fvu < 0.1, $"FVU {quality.Fvu}");
        Assert.True(quality.DeadShare < 0.1, $"dead {quality.DeadShare}");
        Assert.Equal(trainer.TotalTokens, trainer.TokensSeen);
        Assert.InRange(trainer.Curve.Count, 50, 100);
        Assert.True(trainer.Curve[^1].Fvu < trainer.Curve[0].Fvu / 3);
    }

    [Fact]
    public void Schedule_warms_up_holds_and_decays()
    {
        var s = new SaeTrainingSettings(64, 512, 16, TrainTokens: 1000 * 100, BatchTokens: 100);
        Assert.Equal((1000, 50, 5000, 32), (s.Steps, s.WarmupSteps, s.DeadAfter, s.AuxK));
        Assert.True(s.LearningRateAt(0) < s.PeakLearningRate / 40);
        Assert.Equal(s.PeakLearningRate, s.LearningRateAt(50), 1e-12);
        Assert.Equal(s.PeakLearningRate, s.LearningRateAt(800), 1e-12);
        Assert.Equal(s.PeakLearningRate / 2, s.LearningRateAt(900), 1e-12);
        Assert.True(s.LearningRateAt(999) > 0);
    }

    [Fact]
    public void Default_learning_rate_is_the_published_law_for_long_runs_and_higher_for_short_ones()
    {
        Assert.Equal(2e-4, new SaeTrainingSettings(512, 16384, 32, TrainTokens: 400_000_000).PeakLearningRate, 1e-12);
        Assert.Equal(1e-4, new SaeTrainingSettings(512, 65536, 32, TrainTokens: 400_000_000).PeakLearningRate, 1e-12);
        Assert.Equal(2e-4 * Math.Sqrt(10), SaeTrainingSettings.DefaultLearningRate(16384, 10_000), 1e-12);
        Assert.Equal(2e-3, SaeTrainingSettings.DefaultLearningRate(16384, 500), 1e-12);
        Assert.Equal(8e-3, SaeTrainingSettings.DefaultLearningRate(64, 500), 1e-12);
        Assert.Equal(0.5, new SaeTrainingSettings(64, 64, 2, LearningRate: 0.5).PeakLearningRate);
    }

    [Theory]
    [InlineData("K", 12, 40, 41, 100, 10)]
    [InlineData("K", 12, 40, 0, 100, 10)]
    [InlineData("DIn", 0, 40, 4, 100, 10)]
    [InlineData("DSae", 12, 0, 4, 100, 10)]
    [InlineData("DSae", 65_536, 1 << 20, 4, 100, 10)]
    [InlineData("TrainTokens", 12, 40, 4, 0, 10)]
    [InlineData("BatchTokens", 12, 40, 4, 100, 0)]
    public void A_setting_out_of_range_is_named(string field, int dIn, int dSae, int k, long tokens, int batch)
    {
        var refused = Assert.Throws<ArgumentException>(() => new SaeTrainingSettings(dIn, dSae, k, 0, tokens, batch).Validate());
        Assert.Equal(field, refused.ParamName);
        Assert.StartsWith(field + " is ", refused.Message);
    }

    [Fact]
    public void The_auxiliary_loss_takes_all_tokens_until_too_many_latents_are_dead()
    {
        var s = new SaeTrainingSettings(512, 16384, 32, BatchTokens: 4096);
        Assert.Equal([4096, 4096, 2112, 512, 512, 512], new[] { 1, 64, 80, 128, 256, 10_000 }.Select(s.AuxTokens));
        Assert.Equal([4096, 512], new[] { 128, 10_000 }.Select((s with { K = 64 }).AuxTokens));
        Assert.Equal([320, 100], new[] { 300, 5000 }.Select(tokens => (s with { AuxBatchTokens = tokens, BatchTokens = tokens == 300 ? 4096 : 100 }).AuxTokens(5)));
    }

    [Fact]
    public void Widths_of_a_Matryoshka_are_checked()
    {
        var s = new SaeTrainingSettings(12, 64, 2) { Architecture = TrainingArchitecture.MatryoshkaBatchTopK };
        Assert.Equal([2, 6, 14, 30, 64], s.Validate().Prefixes);
        Assert.Equal([8, 64], (s with { MatryoshkaWidths = [8, 64] }).Validate().Prefixes);
        Assert.Equal([64], (s with { Architecture = TrainingArchitecture.BatchTopK }).Validate().Prefixes);
        foreach (var widths in new int[][] { [], [8], [64, 8], [0, 64], [8, 8, 64], [8, 65] })
            Assert.Equal("MatryoshkaWidths", Assert.Throws<ArgumentException>(() => (s with { MatryoshkaWidths = widths }).Validate()).ParamName);
        Assert.Equal("MatryoshkaWidths",
            Assert.Throws<ArgumentException>(() => (s with { Architecture = TrainingArchitecture.TopK, MatryoshkaWidths = [64] }).Validate()).ParamName);
    }

    [Fact]
    public void Activations_without_variance_and_rows_outside_the_file_are_refused()
    {
        using var scratch = new Scratch();
        using var flat = scratch.Activations(100, 12, (_, j) => j);
        Assert.Contains("do not vary", Assert.Throws<InvalidDataException>(() => new SaeTrainer(Small, flat, [1, 2, 3])).Message);
        Assert.Contains("row 100", Assert.Throws<ArgumentException>(() => new SaeTrainer(Small, flat, [1, 100])).Message);
        Assert.Contains("DIn", Assert.Throws<ArgumentException>(() => new SaeTrainer(Small with { DIn = 6 }, flat, [1])).Message);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(4097)]
    public void Shuffle_is_a_permutation_that_another_epoch_changes(int n)
    {
        var first = new IndexPermutation(n, CounterRandom.Key(1, 3, 0));
        var second = new IndexPermutation(n, CounterRandom.Key(1, 3, 1));
        var image = Enumerable.Range(0, n).Select(i => first[i]).ToArray();
        Assert.Equal(Enumerable.Range(0, n).Select(i => (long)i), image.Order());
        if (n < 64)
            return;
        Assert.NotEqual(image, Enumerable.Range(0, n).Select(i => second[i]));
        // Neighbours are torn apart: a random permutation has about one fixed point and two neighbours kept.
        Assert.True(Enumerable.Range(0, n).Count(i => image[i] == i) < 8);
        Assert.True(Enumerable.Range(1, n - 1).Count(i => Math.Abs(image[i] - image[i - 1]) == 1) < 12);
    }
}
