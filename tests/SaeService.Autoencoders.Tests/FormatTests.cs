using System.Runtime.InteropServices;
using System.Text.Json;
using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class FormatTests
{
    private static readonly SaeSource Source = new("tiny", "blocks.1.hook_resid_post", "corpus", 128, true);

    private static SaeTrainer Trained(ActivationFile activations)
    {
        var trainer = new SaeTrainer(new(12, 40, 4, TrainTokens: 6400, BatchTokens: 64), activations, [.. Enumerable.Range(0, (int)activations.Rows)]);
        while (trainer.Step()) { }
        return trainer;
    }

    [Fact]
    public void The_folded_autoencoder_reconstructs_as_the_trainer_does_in_its_scaled_space()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Activations(400, 12, (i, j) => 50 + 7 * MathF.Sin(i * (j + 1)));
        var trainer = Trained(activations);
        var (sae, p) = (trainer.Autoencoder(), trainer.State.Parameters);
        trainer.SaveCheckpoint(scratch["c"]);
        using var checkpoint = SafetensorsFile.Open(scratch["c"]);
        var mean = MemoryMarshal.Cast<byte, float>(checkpoint.Bytes("mean"));
        var x = new float[400 * 12];
        activations.Read(0, x);
        var reconstruction = new float[x.Length];
        sae.Decode(sae.Encode(x, 400), reconstruction);
        double s = sae.InputScale, worst = 0;
        Assert.NotInRange(s, 0.5, 2);
        for (var i = 0; i < 400; i++)
        {
            var pre = Enumerable.Range(0, 40).Select(f => p.BEnc.Span[f] + Dot(f, i)).ToArray();
            var top = Enumerable.Range(0, 40).Where(f => pre[f] > 0).OrderByDescending(f => pre[f]).Take(4).ToArray();
            for (var j = 0; j < 12; j++)
            {
                var scaled = p.BDec.Span[j] + top.Sum(f => pre[f] * p.WDec.Span[f * p.Stride + j]);
                worst = Math.Max(worst, Math.Abs(scaled / s + mean[j] - reconstruction[i * 12 + j]));
            }
        }
        Assert.True(worst < 1e-3, $"differs by {worst}");

        double Dot(int f, int i)
        {
            var sum = 0.0;
            for (var j = 0; j < 12; j++)
                sum += p.WEnc.Span[f * p.Stride + j] * ((x[i * 12 + j] - MemoryMarshal.Cast<byte, float>(checkpoint.Bytes("mean"))[j]) * s - p.BDec.Span[j]);
            return sum;
        }
    }

    [Fact]
    public void SAELens_folder_has_its_tensors_and_fields_and_comes_back_the_same()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(400, 12);
        var sae = Trained(activations).Autoencoder();
        SaeFolder.SaveSaeLens(sae, scratch["sae"], Source, l0: 4, deadLatents: 0);
        using (var file = SafetensorsFile.Open(Path.Combine(scratch["sae"], "sae_weights.safetensors")))
        {
            Assert.Equal(["W_dec[40, 12]", "W_enc[12, 40]", "b_dec[12]", "b_enc[40]"], file.Tensors.Values.Select(t => t.Name + t.ShapeText).Order(StringComparer.Ordinal));
            Assert.All(file.Tensors.Values, t => Assert.Equal(DType.F32, t.DType));
            Assert.Equal(sae.EncoderRow(7)[2], MemoryMarshal.Cast<byte, float>(file.Bytes("W_enc"))[2 * 40 + 7]);
        }
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(scratch["sae"], "cfg.json")));
        var cfg = document.RootElement;
        Assert.Equal("topk", cfg.GetProperty("architecture").GetString());
        Assert.Equal("float32", cfg.GetProperty("dtype").GetString());
        Assert.Equal("none", cfg.GetProperty("normalize_activations").GetString());
        Assert.Equal((12, 40, 4), (cfg.GetProperty("d_in").GetInt32(), cfg.GetProperty("d_sae").GetInt32(), cfg.GetProperty("k").GetInt32()));
        Assert.True(cfg.GetProperty("apply_b_dec_to_input").GetBoolean());
        Assert.False(cfg.GetProperty("rescale_acts_by_decoder_norm").GetBoolean());
        Assert.Equal("blocks.1.hook_resid_post", cfg.GetProperty("metadata").GetProperty("hook_name").GetString());
        Assert.Equal("6.18.0", cfg.GetProperty("metadata").GetProperty("sae_lens_version").GetString());
        for (var f = 0; f < 40; f++)
            Assert.Equal(1, Math.Sqrt(sae.DecoderRow(f).ToArray().Sum(v => (double)v * v)), 1e-5);

        var back = SaeFolder.LoadSaeLens(scratch["sae"]);
        Assert.Equal((sae.InputScale, sae.Threshold), (back.InputScale, back.Threshold));
        var x = new float[400 * 12];
        activations.Read(0, x);
        Assert.Equal(sae.Encode(x, 400).Value, back.Encode(x, 400).Value);
        Assert.True(sae.Threshold > 0);
    }

    [Theory]
    [InlineData("\"architecture\": \"topk\"", "\"architecture\": \"gated\"", "gated")]
    [InlineData("\"k\": 4", "\"k\": 41", "K is 41")]
    [InlineData("\"d_sae\": 40", "\"d_sae\": 41", "W_enc")]
    [InlineData("\"d_in\": 12", "\"d_in\": \"x\"", "d_in")]
    [InlineData("\"normalize_activations\": \"none\"", "\"normalize_activations\": \"batch\"", "batch")]
    [InlineData("{", "[", "not valid JSON")]
    public void A_folder_that_would_be_misread_is_refused(string from, string to, string named)
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(100, 12);
        SaeFolder.SaveSaeLens(Trained(activations).Autoencoder(), scratch["sae"], Source);
        var cfg = Path.Combine(scratch["sae"], "cfg.json");
        File.WriteAllText(cfg, File.ReadAllText(cfg).Replace(from, to));
        Assert.Contains(named, Assert.ThrowsAny<Exception>(() => SaeFolder.LoadSaeLens(scratch["sae"])).Message);
    }

    [Fact]
    public void Norms_that_rescale_the_activations_are_folded_in()
    {
        using var scratch = new Scratch();
        var folder = Directory.CreateDirectory(scratch["sae"]).FullName;
        SafetensorsWriter.Write(Path.Combine(folder, "sae_weights.safetensors"),
        [
            TensorSource.Of<float>("W_enc", DType.F32, [1, 2], new float[] { 1, 1.5f }), TensorSource.Of<float>("W_dec", DType.F32, [2, 1], new float[] { 4, -2 }),
            TensorSource.Of<float>("b_enc", DType.F32, [2], new float[] { 0.5f, 0 }), TensorSource.Of<float>("b_dec", DType.F32, [1], new float[] { 0 }),
        ]);
        File.WriteAllText(Path.Combine(folder, "cfg.json"), """{"architecture":"topk","d_in":1,"d_sae":2,"k":1,"rescale_acts_by_decoder_norm":true,"apply_b_dec_to_input":true}""");
        var codes = SaeFolder.LoadSaeLens(folder).Encode([2f], 1);
        // Values 2.5 and 3, times norms 4 and 2: the first wins with 10.
        Assert.Equal((0, 10f), (codes.Index[0], codes.Value[0]));
    }

    [Fact]
    public void Sparsify_folder_has_its_names_and_orientation()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(100, 12);
        var sae = Trained(activations).Autoencoder();
        SaeFolder.SaveSparsify(sae, scratch["s"]);
        using var file = SafetensorsFile.Open(Path.Combine(scratch["s"], "sae.safetensors"));
        Assert.Equal(["W_dec[40, 12]", "b_dec[12]", "encoder.bias[40]", "encoder.weight[40, 12]"], file.Tensors.Values.Select(t => t.Name + t.ShapeText).Order(StringComparer.Ordinal));
        Assert.Equal(sae.EncoderRow(7).ToArray(), MemoryMarshal.Cast<byte, float>(file.Bytes("encoder.weight")).Slice(7 * 12, 12).ToArray());
        using var cfg = JsonDocument.Parse(File.ReadAllText(Path.Combine(scratch["s"], "cfg.json")));
        Assert.Equal((40, 4), (cfg.RootElement.GetProperty("num_latents").GetInt32(), cfg.RootElement.GetProperty("k").GetInt32()));
    }

    [Fact]
    public void Codes_come_back_as_saved_and_damaged_ones_are_refused()
    {
        using var scratch = new Scratch();
        var builder = new SparseCodesBuilder(9);
        builder.Add([1, 8], [0.5f, 2]);
        builder.Add([], []);
        builder.Add([0], [1e-40f]);
        var codes = builder.Build();
        codes.Save(scratch["codes"]);
        var back = SparseCodes.Load(scratch["codes"]);
        Assert.Equal((9, 3, 3L), (back.Width, back.Rows, back.NonZeros));
        Assert.Equal(codes.Start, back.Start);
        Assert.Equal(codes.Index, back.Index);
        Assert.Equal(codes.Value, back.Value);
        Assert.Equal([1, 8], back.RowIndex(0).ToArray());
        Assert.Equal(0, back.RowValue(1).Length);

        foreach (var (bad, named) in new (SparseCodes, string)[]
        {
            (new(9, [0, 2], [3, 3], [1, 1]), "feature 3 after 3"), (new(9, [0, 1], [9], [1]), "feature 9"), (new(9, [0, 1], [1], [0]), "value 0"),
            (new(9, [0, 5, 1], [1], [1]), "row 0 ends at 5"), (new(9, [0, 1], [1], [float.NaN]), "NaN"),
        })
        {
            bad.Save(scratch["codes"]);
            Assert.Contains(named, Assert.Throws<InvalidDataException>(() => SparseCodes.Load(scratch["codes"])).Message);
        }
    }
}
