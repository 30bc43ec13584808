using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>The estimate of memory against what is allocated: by this thread, on which every buffer is made, and so untouched by other tests.</summary>
public sealed class SaeMemoryTests
{
    [Theory]
    [InlineData(64, 4096, 16, 512, TrainingArchitecture.TopK)]
    [InlineData(200, 1600, 32, 4096, TrainingArchitecture.TopK)]
    [InlineData(17, 8192, 8, 64, TrainingArchitecture.TopK)]
    [InlineData(64, 4096, 16, 2048, TrainingArchitecture.BatchTopK)]
    [InlineData(200, 1600, 32, 4096, TrainingArchitecture.MatryoshkaBatchTopK)]
    public void Training_holds_what_the_shapes_say(int dIn, int dSae, int k, int batch, TrainingArchitecture architecture)
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(300, dIn);
        // Every latent that misses one batch is dead, so that the auxiliary buffers come too.
        var settings = new SaeTrainingSettings(dIn, dSae, k, TrainTokens: 8L * batch, BatchTokens: batch) { DeadAfterTokens = 1, Architecture = architecture };
        var before = GC.GetAllocatedBytesForCurrentThread();
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, 300)], threads: 1);
        trainer.Step();
        trainer.Step();
        Assert.True(trainer.DeadLatents > 0);
        // Centre and scale are read in blocks, which are garbage by now.
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before - (2 * 1024 * dIn * sizeof(float));
        var estimated = SaeMemory.Training(settings, threads: 1);
        Assert.InRange(estimated / (double)allocated, 0.85, 1.25);
    }

    [Fact]
    public void Judging_holds_what_the_shapes_say()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(300, 96);
        var settings = new SaeTrainingSettings(96, 16384, 16, TrainTokens: 256, BatchTokens: 256);
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, 300)], threads: 1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var sae = trainer.Autoencoder();
        Quality.Evaluate(sae, activations, [.. Enumerable.Range(0, 300)]);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.InRange(SaeMemory.Judging(settings, threads: 1) / (double)allocated, 0.85, 1.25);
    }

    [Fact]
    public void Files_have_the_sizes_that_are_said()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(300, 64);
        var settings = new SaeTrainingSettings(64, 512, 8, TrainTokens: 256, BatchTokens: 256);
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, 300)], threads: 1);
        trainer.SaveCheckpoint(scratch["checkpoint"]);
        SaeFolder.SaveSaeLens(trainer.Autoencoder(), scratch.Folder, new SaeSource("m", "h", "d", 64, PrependBos: true), 8, 0);
        Assert.InRange(SaeMemory.Checkpoint(64, 512) / (double)new FileInfo(scratch["checkpoint"]).Length, 0.98, 1.02);
        Assert.InRange(SaeMemory.Weights(64, 512) / (double)new FileInfo(scratch["sae_weights.safetensors"]).Length, 0.98, 1.02);
    }
}
