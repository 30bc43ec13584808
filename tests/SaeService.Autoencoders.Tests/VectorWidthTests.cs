using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>Every kernel has a path for each width of vector; a trained autoencoder must not tell which was taken.</summary>
public sealed class VectorWidthTests
{
    /// <param name="without">What the runtime is told not to use: by and by the next narrower kernel and screen.</param>
    /// <param name="left">The widest vectors that are left.</param>
    [Theory]
    [InlineData("EnableAVX512", 256)]
    [InlineData("EnableAVX2", 128)]
    public async Task Training_has_the_same_bits_with_narrower_vectors(string without, int left)
    {
        Assert.SkipUnless(Widest > left, $"the processor has no vectors wider than {left} bits to go without");
        var ct = TestContext.Current.CancellationToken;
        var here = TrainedHash();
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        start.ArgumentList.Add(typeof(VectorWidthTests).Assembly.Location);
        start.ArgumentList.Add("-method");
        start.ArgumentList.Add($"{typeof(VectorWidthTests).FullName}.{nameof(Prints_what_training_gives)}");
        start.ArgumentList.Add("-showliveoutput");
        start.Environment[$"DOTNET_{without}"] = "0";
        using var narrow = Process.Start(start)!;
        var output = await narrow.StandardOutput.ReadToEndAsync(ct);
        await narrow.WaitForExitAsync(ct);
        Assert.Contains($"{left}: {here}", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Prints_what_training_gives()
    {
        var hash = TrainedHash();
        Assert.NotEmpty(hash);
        TestContext.Current.TestOutputHelper!.WriteLine($"{Widest}: {hash}");
    }

    private static int Widest => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;

    private static string TrainedHash()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Planted(3000, Scratch.UnitDirections(96, 72, 3), 6, 4);
        // So short a patience that some latents are dead, and the auxiliary loss has its part in the result.
        var settings = new SaeTrainingSettings(72, 320, 8, Seed: 5, TrainTokens: 24_000, BatchTokens: 500) { DeadAfterTokens = 600 };
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, 3000)], threads: 2);
        var dead = 0;
        while (trainer.Step())
            dead += trainer.DeadLatents;
        Assert.True(dead > 0);
        var sae = trainer.Autoencoder();
        var bytes = new List<byte>();
        for (var f = 0; f < sae.DSae; f++)
            foreach (var row in new[] { sae.EncoderRow(f).ToArray(), sae.DecoderRow(f).ToArray() })
                bytes.AddRange(MemoryMarshal.AsBytes(row.AsSpan()));
        return Convert.ToHexString(SHA256.HashData([.. bytes]));
    }
}
