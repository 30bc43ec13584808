using System.Runtime.InteropServices;
using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class SaeVerificationTests
{
    private const int D = 20, F = 53, Rows = 1300;   // more than a block

    [Fact]
    public void Expected_values_of_a_reference_are_met_and_a_changed_one_is_not()
    {
        using var scratch = new Scratch();
        var (stored, x) = Stored(scratch["s"]);
        var (codes, reconstruction) = stored.Forward(x, Rows);
        var (c, r) = (Array.ConvertAll(codes, v => (float)v), Array.ConvertAll(reconstruction, v => (float)v));
        Expect(c, r);
        var good = SaeVerification.Run(scratch["s"], threads: 2);
        Assert.Equal(["codes", "reconstruction"], good.Tensors.Select(t => t.Tensor));
        Assert.All(good.Tensors, t => Assert.True(t.Passes(2e-6), $"{t}"));
        // The slow figures of the same rows.
        Assert.Equal((double)codes.Count(v => v > 0) / Rows, good.Quality.L0, 1e-9);
        var mean = Enumerable.Range(0, D).Select(j => Enumerable.Range(0, Rows).Average(i => (double)x[i * D + j])).ToArray();
        var fvu = x.Zip(reconstruction, (a, b) => (a - b) * (a - b)).Sum() / x.Select((v, i) => (v - mean[i % D]) * (v - mean[i % D])).Sum();
        Assert.Equal(fvu, good.Quality.Fvu, 1e-5 * fvu);
        Assert.Equal(Enumerable.Range(0, F).Count(f => Enumerable.Range(0, Rows).All(i => codes[i * F + f] == 0)), good.Quality.Dead);

        r[1234 * D + 3] += 1e-3f * r.Max(Math.Abs);
        Expect(c, r);
        var bad = SaeVerification.Run(scratch["s"], threads: 2).Tensors;
        Assert.True(bad[0].Passes(2e-5));
        Assert.InRange(bad[1].Error, 9e-4, 1.1e-3);

        // The activations named are measured; the expected values are compared all the same.
        File.WriteAllBytes(scratch["a.f32"], MemoryMarshal.AsBytes<float>(x.AsSpan(0, 7 * D)).ToArray());
        var named = SaeVerification.Run(scratch["s"], scratch["a.f32"], threads: 2);
        Assert.Equal((7, 2), (named.Quality.Tokens, named.Tensors.Count));
        SafetensorsWriter.Write(scratch["a.safetensors"], [stored.Of("h", DType.F32, x[..(7 * D)], 7, D)]);
        Assert.Equal(named.Quality.Fvu, SaeVerification.Run(scratch["s"], scratch["a.safetensors"], threads: 2).Quality.Fvu);

        void Expect(float[] expectedCodes, float[] expectedReconstruction) => SafetensorsWriter.Write(Path.Combine(scratch["s"], "expected.safetensors"),
            [stored.Of("x", DType.F32, x, Rows, D), stored.Of("codes", DType.F32, expectedCodes, Rows, F), stored.Of("reconstruction", DType.F32, expectedReconstruction, Rows, D)]);
    }

    [Fact]
    public void What_can_not_be_used_is_named()
    {
        using var scratch = new Scratch();
        var (stored, x) = Stored(scratch["s"]);
        Says(null, "expected.safetensors: no such file, and no activations were named");
        Says(scratch["none.f32"], "none.f32");
        Says(scratch["none.safetensors"], "none.safetensors: no such file");
        File.WriteAllBytes(scratch["a.f32"], new byte[D * 4 + 4]);
        Says(scratch["a.f32"], "no whole number of rows");
        File.WriteAllBytes(scratch["a.f32"], []);
        Says(scratch["a.f32"], "no row");
        x[3 * D + 2] = float.PositiveInfinity;
        File.WriteAllBytes(scratch["a.f32"], MemoryMarshal.AsBytes<float>(x).ToArray());
        Says(scratch["a.f32"], "row 3, component 2");
        SafetensorsWriter.Write(scratch["a.safetensors"], [stored.Of("x", DType.F32, x, Rows, D)]);
        Says(scratch["a.safetensors"], "'x': holds Infinity at row 3, component 2");
        SafetensorsWriter.Write(scratch["a.safetensors"], [stored.Of("x", DType.F32, x, Rows * 2, D / 2)]);
        Says(scratch["a.safetensors"], "'x': is F32 [2600, 10]");
        SafetensorsWriter.Write(scratch["a.safetensors"], [stored.Of("p", DType.F32, x, Rows, D), stored.Of("q", DType.F32, x, Rows, D)]);
        Says(scratch["a.safetensors"], "no tensor 'x' or 'activations', but p, q");

        x[3 * D + 2] = 0;
        var expected = Path.Combine(scratch["s"], "expected.safetensors");
        SafetensorsWriter.Write(expected, [stored.Of("x", DType.F32, x, Rows, D)]);
        Says(null, "neither 'codes' nor 'reconstruction'");
        SafetensorsWriter.Write(expected, [stored.Of("x", DType.F32, x, Rows, D), stored.Of("codes", DType.F32, x, Rows, D)]);
        Says(null, "'codes': is F32 [1300, 20], expected");
        SafetensorsWriter.Write(expected, [stored.Of("x", DType.F32, x, Rows, D), stored.Of("reconstruction", DType.F32, x, Rows, D), stored.Of("y", DType.F32, [1], 1)]);
        Assert.False(SaeVerification.Run(scratch["s"], threads: 1).Tensors.Single(t => t.NotCompared is not null).Passes(1e9));

        void Says(string? activations, string what) => Assert.Contains(what, Assert.Throws<CheckpointException>(() => SaeVerification.Run(scratch["s"], activations)).Message);
    }

    private static (StoredSae, float[]) Stored(string folder)
    {
        var stored = new StoredSae(D, F, seed: 21) { Architecture = SaeArchitecture.JumpRelu };
        FormatOracleTests.WriteSaeLens(folder, stored, """{"architecture":"jumprelu","d_in":20,"d_sae":53}""");
        return (stored, stored.Inputs(Rows));
    }
}
