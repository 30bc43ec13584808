using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class SaeSweepTests
{
    private static readonly SaeTrainingSettings First = new(12, 120, 2, Seed: 3, TrainTokens: 40 * 64, BatchTokens: 64) { DeadAfterTokens = 64, ShuffleSeed = 3 };
    private static readonly SaeTrainingSettings[] Sweep =
    [
        First, First with { K = 5 }, First with { Seed = 4 }, First with { DSae = 50 },
        First with { Architecture = TrainingArchitecture.BatchTopK }, First with { Architecture = TrainingArchitecture.MatryoshkaBatchTopK, K = 4 },
    ];

    [Fact]
    public void In_one_pass_each_becomes_what_it_becomes_alone()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(500, 12);
        var rows = Enumerable.Range(0, 500).Where(i => i % 7 != 0).ToArray();
        var sweep = new SaeSweep(Sweep, activations, rows, threads: 2);
        while (sweep.Step()) { }
        Assert.Equal(Sweep[0].TotalTokens, sweep.TokensSeen);
        for (var i = 0; i < Sweep.Length; i++)
        {
            var alone = new SaeTrainer(Sweep[i], activations, rows, threads: 1);
            while (alone.Step()) { }
            Assert.Equal(alone.Curve, sweep.Trainers[i].Curve);
            var (expected, actual) = (alone.Autoencoder(), sweep.Trainers[i].Autoencoder());
            Assert.Equal(expected.Parameters.WEnc.Span.ToArray(), actual.Parameters.WEnc.Span.ToArray());
            Assert.Equal(expected.Parameters.WDec.Span.ToArray(), actual.Parameters.WDec.Span.ToArray());
            Assert.Equal(expected.Thresholds, actual.Thresholds);
        }
    }

    [Fact]
    public void Resumed_at_any_step_all_end_in_the_same_bytes()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(500, 12);
        var rows = Enumerable.Range(0, 500).ToArray();
        var undisturbed = new SaeSweep(Sweep, activations, rows, threads: 2);
        while (undisturbed.Step()) { }
        undisturbed.SaveCheckpoint(scratch["whole"]);
        foreach (var stop in new[] { 0, 1, 39 })
        {
            var killed = new SaeSweep(Sweep, activations, rows, threads: 1);
            for (var s = 0; s < stop; s++)
                killed.Step();
            killed.SaveCheckpoint(scratch["part"]);
            var resumed = SaeSweep.Resume(scratch["part"], Sweep, activations, rows, threads: 3);
            while (resumed.Step()) { }
            resumed.SaveCheckpoint(scratch["resumed"]);
            Assert.Equal(File.ReadAllBytes(scratch["whole"]), File.ReadAllBytes(scratch["resumed"]));
        }
        Assert.Contains("other settings", Assert.Throws<InvalidDataException>(() => SaeSweep.Resume(scratch["part"], Sweep[..2], activations, rows)).Message);
    }

    [Fact]
    public void What_can_not_share_a_pass_is_refused()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(100, 12);
        foreach (var other in new[] { First with { BatchTokens = 32 }, First with { TrainTokens = 64 }, First with { ShuffleSeed = null, Seed = 9 } })
            Assert.Contains("share a pass", Assert.Throws<ArgumentException>(() => new SaeSweep([First, other], activations, [1, 2])).Message);
    }

    [Theory]
    [InlineData(TrainingArchitecture.BatchTopK)]
    [InlineData(TrainingArchitecture.MatryoshkaBatchTopK)]
    public void A_batch_s_top_k_is_used_as_a_JumpReLU_of_the_same_sparsity(TrainingArchitecture architecture)
    {
        using var scratch = new Scratch();
        var truth = Scratch.UnitDirections(64, 32, seed: 11);
        using var activations = scratch.Planted(20_000, truth, active: 3, seed: 12);
        var rows = Enumerable.Range(0, 20_000).ToArray();
        var settings = new SaeTrainingSettings(32, 128, 4, TrainTokens: 400_000, BatchTokens: 512) { Architecture = architecture };
        var trainer = new SaeTrainer(settings, activations, rows[..18_000]);
        while (trainer.Step()) { }
        var sae = trainer.Autoencoder();
        Assert.Equal(SaeArchitecture.JumpRelu, sae.Architecture);
        var quality = Quality.Evaluate(sae, activations, rows.AsSpan(18_000));
        var found = Scratch.MeanMaxCosine(truth, f => sae.DecoderRow(f).ToArray(), 128);
        Assert.InRange(quality.L0, 0.9 * settings.K, 1.1 * settings.K);
        Assert.True(found > (architecture == TrainingArchitecture.BatchTopK ? 0.9 : 0.8), $"mean max cosine {found}");
        Assert.True(quality.Fvu < 0.15, $"FVU {quality.Fvu}");
        if (architecture != TrainingArchitecture.MatryoshkaBatchTopK)
            return;
        // Each prefix reconstructs by itself: the first 60 latents of 128 hold nearly all that 64 directions are worth, which those of no other order do.
        var codes = sae.Encode(Read(activations, rows.AsSpan(18_000)), 2000);
        Assert.True(Fvu(codes, f => f < settings.Prefixes[3]) < 0.8 * Fvu(codes, f => f >= settings.Prefixes[3]), "the prefix is no better than the rest");

        double Fvu(SparseCodes all, Func<int, bool> kept)
        {
            var builder = new SparseCodesBuilder(all.Width);
            for (var i = 0; i < all.Rows; i++)
            {
                var of = all.RowIndex(i).ToArray().Zip(all.RowValue(i).ToArray()).Where(e => kept(e.First)).ToArray();
                builder.Add(of.Select(e => e.First).ToArray(), of.Select(e => e.Second).ToArray());
            }
            var reconstruction = new float[all.Rows * 32];
            sae.Decode(builder.Build(), reconstruction);
            return reconstruction.Zip(Read(activations, rows.AsSpan(18_000)), (a, b) => (double)(a - b) * (a - b)).Sum();
        }
    }

    private static float[] Read(ActivationFile activations, ReadOnlySpan<int> rows)
    {
        var x = new float[rows.Length * activations.Dim];
        activations.Gather(rows, x);
        return x;
    }
}
