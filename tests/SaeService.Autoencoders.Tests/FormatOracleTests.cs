using System.Globalization;
using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>Folders as other projects write them, made here in their orientation, against the slow forward pass of <see cref="StoredSae"/>.</summary>
public sealed class FormatOracleTests
{
    private const int D = 20, F = 53, Rows = 41;   // neither padded widths nor whole tiles

    private static readonly string[] s_norms = ["none", "constant_norm_rescale", "layer_norm", "expected_average_only_in"];

    public static TheoryData<SaeArchitecture, bool, string> Cases()
    {
        var cases = new TheoryData<SaeArchitecture, bool, string>();
        foreach (var architecture in Enum.GetValues<SaeArchitecture>())
            foreach (var centred in new[] { true, false })
                foreach (var norm in s_norms)
                    cases.Add(architecture, centred, norm);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void SAELens_of_every_architecture_bias_and_normalisation(SaeArchitecture architecture, bool centred, string norm)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 5) { Architecture = architecture, Centred = centred, Norm = norm, Scale = norm == "expected_average_only_in" ? 0.37 : 1 };
        var name = architecture switch { SaeArchitecture.TopK => "\"topk\",\"k\":3", SaeArchitecture.Standard => "\"standard\"", _ => "\"jumprelu\"" };
        WriteSaeLens(scratch["s"], stored,
            $$"""{"architecture":{{name}},"d_in":20,"d_sae":53,"dtype":"float32","apply_b_dec_to_input":{{(centred ? "true" : "false")}},"normalize_activations":"{{norm}}","metadata":{"sae_lens_version":"6.18.0"} }""");
        if (norm == "expected_average_only_in")
            File.WriteAllText(Path.Combine(scratch["s"], "activation_scaler.json"), """{"scaling_factor": 0.37}""");
        AssertForward(stored, scratch["s"], SaeFormat.SaeLens);
    }

    [Theory]
    [InlineData("""{"architecture":"topk","activation_fn_str":"topk","activation_fn_kwargs":{"k":3},"d_in":20,"d_sae":53,"normalize_activations":false}""", "TopK", false, false)]
    [InlineData("""{"activation_fn":"topk","activation_fn_kwargs":{"k":3},"d_in":20,"d_sae":53,"hook_point":"blocks.1.hook_resid_pre"}""", "TopK", false, false)]
    [InlineData("""{"d_in":20,"d_sae":53,"hook_point":"blocks.1.hook_resid_pre","hook_point_layer":1,"expansion_factor":4}""", "Standard", false, false)]
    [InlineData("""{"architecture":"jumprelu","activation_fn_str":"relu","activation_fn_kwargs":{},"d_in":20,"d_sae":53,"normalize_activations":null}""", "JumpRelu", false, false)]
    [InlineData("""{"architecture":"standard","activation_fn_str":"relu","d_in":20,"d_sae":53,"finetuning_scaling_factor":true}""", "Standard", false, true)]
    [InlineData("""{"architecture":"topk","k":3,"d_in":20,"d_sae":53,"rescale_acts_by_decoder_norm":true}""", "TopK", true, false)]
    [InlineData("""{"architecture":"topk","k":3,"d_in":20,"d_sae":53,"rescale_acts_by_decoder_norm":true,"finetuning_scaling_factor":false}""", "TopK", true, false)]
    public void SAELens_before_version_6_and_what_it_left_to_run_time(string cfg, string architecture, bool rescaled, bool fineTuned)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 6) { Architecture = Enum.Parse<SaeArchitecture>(architecture), RescaledByNorm = rescaled, FineTuned = fineTuned };
        WriteSaeLens(scratch["s"], stored, cfg, fineTuned ? stored.Of("scaling_factor", DType.F32, stored.Factors, F) : null);
        AssertForward(stored, scratch["s"], SaeFormat.SaeLens);
    }

    [Fact]
    public void Factors_of_fine_tuning_that_are_ones_and_switched_off_are_passed_over_and_others_are_not()
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 6) { Architecture = SaeArchitecture.Standard };
        const string Cfg = """{"architecture":"standard","d_in":20,"d_sae":53,"finetuning_scaling_factor":false}""";
        WriteSaeLens(scratch["s"], stored, Cfg, stored.Of("scaling_factor", DType.F32, [.. Enumerable.Repeat(1f, F)], F));
        AssertForward(stored, scratch["s"], SaeFormat.SaeLens);
        WriteSaeLens(scratch["s"], stored, Cfg, stored.Of("scaling_factor", DType.F32, stored.Factors, F));
        Assert.Contains("not all ones", Assert.Throws<CheckpointException>(() => SaeFolder.Load(scratch["s"])).Message);
    }

    [Theory]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    public void Weights_of_other_types_are_read_as_what_they_hold(DType dtype)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 7) { Architecture = SaeArchitecture.JumpRelu };
        stored.RoundTo(dtype);
        WriteSaeLens(scratch["s"], stored, """{"architecture":"jumprelu","d_in":20,"d_sae":53}""", null, dtype);
        AssertForward(stored, scratch["s"], SaeFormat.SaeLens);
        Assert.Equal(stored.Encoder[7 * D + 3], SaeFolder.Load(scratch["s"]).EncoderRow(7)[3]);
    }

    [Theory]
    [InlineData("""{"activation":"topk","expansion_factor":32,"normalize_decoder":true,"num_latents":53,"k":3,"multi_topk":false,"skip_connection":false,"transcode":false,"d_in":20}""", 53)]
    [InlineData("""{"expansion_factor":3,"normalize_decoder":true,"num_latents":0,"k":3,"signed":false,"d_in":20}""", 60)]
    public void Sparsify(string cfg, int latents)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, latents, seed: 8);
        Directory.CreateDirectory(scratch["s"]);
        SafetensorsWriter.Write(Path.Combine(scratch["s"], "sae.safetensors"),
        [
            stored.Of("encoder.weight", DType.F32, stored.Encoder, latents, D), stored.Of("encoder.bias", DType.F32, stored.EncoderBias, latents),
            stored.Of("W_dec", DType.F32, stored.Decoder, latents, D), stored.Of("b_dec", DType.F32, stored.DecoderBias, D),
        ]);
        File.WriteAllText(Path.Combine(scratch["s"], "cfg.json"), cfg);
        AssertForward(stored, scratch["s"], SaeFormat.Sparsify);
    }

    [Theory]
    [InlineData("AutoEncoder", true)]
    [InlineData("AutoEncoder", false)]
    [InlineData("AutoEncoderNew", true)]
    [InlineData("AutoEncoderNew", false)]
    [InlineData("AutoEncoderTopK", true)]
    [InlineData("BatchTopKSAE", true)]
    [InlineData("MatryoshkaBatchTopKSAE", true)]
    [InlineData("MatryoshkaBatchTopKSAE", false)]
    [InlineData("JumpReluAutoEncoder", true)]
    [InlineData("JumpReluAutoEncoder", false)]
    public void Dictionary_learning(string kind, bool withConfig)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 9)
        {
            Architecture = kind is "AutoEncoder" or "AutoEncoderNew" ? SaeArchitecture.Standard : kind == "AutoEncoderTopK" ? SaeArchitecture.TopK : SaeArchitecture.JumpRelu,
            Centred = kind is not ("AutoEncoderNew" or "JumpReluAutoEncoder"),
        };
        if (kind is "BatchTopKSAE" or "MatryoshkaBatchTopKSAE")
            stored.Threshold = [.. Enumerable.Repeat(0.8f, F)];
        var linear = kind is not ("JumpReluAutoEncoder" or "MatryoshkaBatchTopKSAE");
        List<TensorSource> tensors = linear
            ? [stored.Of("encoder.weight", DType.F32, stored.Encoder, F, D), stored.Of("encoder.bias", DType.F32, stored.EncoderBias, F),
                stored.Of("decoder.weight", DType.F32, StoredSae.Transposed(stored.Decoder, F, D), D, F)]
            : [stored.Of("W_enc", DType.F32, StoredSae.Transposed(stored.Encoder, F, D), D, F), stored.Of("b_enc", DType.F32, stored.EncoderBias, F),
                stored.Of("W_dec", DType.F32, stored.Decoder, F, D)];
        tensors.Add(stored.Of(kind switch { "AutoEncoder" => "bias", "AutoEncoderNew" => "decoder.bias", _ => "b_dec" }, DType.F32, stored.DecoderBias, D));
        if (kind == "JumpReluAutoEncoder")
            tensors.Add(stored.Of("threshold", DType.F32, stored.Threshold, F));
        else if (kind.Contains("TopK", StringComparison.Ordinal))
            tensors.AddRange([TensorSource.Of<int>("k", DType.I32, [], new[] { 3 }), stored.Of("threshold", DType.F32, [0.8f])]);
        if (kind == "MatryoshkaBatchTopKSAE")
            tensors.Add(TensorSource.Of<long>("group_sizes", DType.I64, [2], new[] { 20L, 33L }));
        Directory.CreateDirectory(scratch["s"]);
        SafetensorsWriter.Write(Path.Combine(scratch["s"], withConfig ? "ae.safetensors" : "converted.safetensors"), tensors);
        if (withConfig)
            File.WriteAllText(Path.Combine(scratch["s"], "config.json"),
                $$"""{"trainer":{"trainer_class":"T","dict_class":"{{kind}}","activation_dim":20,"dict_size":53,"k":3,"layer":3},"buffer":{"d_submodule":20} }""");
        AssertForward(stored, scratch["s"], SaeFormat.DictionaryLearning);
        if (kind == "AutoEncoderTopK")
            Assert.Equal(0.8f, SaeFolder.Load(scratch["s"]).Threshold);
    }

    [Theory]
    [InlineData("TopK", null, true)]
    [InlineData("TopK", "false", false)]
    [InlineData("ReLU", null, false)]
    [InlineData("ReLU", "true", true)]
    public void OpenAi(string activation, string? normalize, bool normalised)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 10)
        {
            Architecture = activation == "TopK" ? SaeArchitecture.TopK : SaeArchitecture.Standard,
            Norm = normalised ? "layer_norm" : "none",
        };
        Directory.CreateDirectory(scratch["s"]);
        var metadata = new Dictionary<string, string> { ["activation"] = activation, ["k"] = activation == "TopK" ? "3" : "", ["postact_fn"] = activation == "TopK" ? "ReLU" : "" };
        if (normalize is not null)
            metadata["normalize"] = normalize;
        SafetensorsWriter.Write(Path.Combine(scratch["s"], "7.safetensors"),
        [
            stored.Of("encoder.weight", DType.F32, stored.Encoder, F, D), stored.Of("latent_bias", DType.F32, stored.EncoderBias, F),
            stored.Of("decoder.weight", DType.F32, StoredSae.Transposed(stored.Decoder, F, D), D, F), stored.Of("pre_bias", DType.F32, stored.DecoderBias, D),
            TensorSource.Of<long>("stats_last_nonzero", DType.I64, [F], new long[F]),
        ], metadata);
        AssertForward(stored, scratch["s"], SaeFormat.OpenAi);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Latents_above_a_threshold_are_those_of_plain_loops_and_their_bits_do_not_depend_on_threads_or_batch(bool jump)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(37, 1501, seed: 11) { Architecture = jump ? SaeArchitecture.JumpRelu : SaeArchitecture.Standard };
        WriteSaeLens(scratch["s"], stored, $$"""{"architecture":"{{(jump ? "jumprelu" : "standard")}}","d_in":37,"d_sae":1501}""");
        const int N = 2131;   // more than a chunk, and no multiple of anything
        var x = stored.Inputs(N);
        var one = SaeFolder.Load(scratch["s"], threads: 1).Encode(x, N);
        var three = SaeFolder.Load(scratch["s"], threads: 3).Encode(x, N);
        Assert.True(one.Index.SequenceEqual(three.Index) && one.Value.SequenceEqual(three.Value) && one.Start.SequenceEqual(three.Start));
        var alone = SaeFolder.Load(scratch["s"], threads: 2).Encode(x.AsSpan(2100 * 37, 37), 1);
        Assert.Equal(one.RowIndex(2100).ToArray(), alone.RowIndex(0).ToArray());
        Assert.Equal(one.RowValue(2100).ToArray(), alone.RowValue(0).ToArray());
        var slow = stored.Forward(x[..(50 * 37)], 50);
        AssertClose(slow.Codes, [.. Enumerable.Range(0, 50).SelectMany(i => Dense(one, i))], 1e-5, "codes");
    }

    [Fact]
    public void Normalised_codes_are_decoded_only_with_what_they_were_normalised_by()
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 12) { Norm = "layer_norm" };
        WriteSaeLens(scratch["s"], stored, """{"architecture":"topk","k":3,"d_in":20,"d_sae":53,"normalize_activations":"layer_norm"}""");
        var sae = SaeFolder.Load(scratch["s"]);
        var codes = sae.Encode(stored.Inputs(3), 3);
        Assert.Equal(3, codes.Scales!.Scale.Length);
        var without = new SparseCodes(codes.Width, codes.Start, codes.Index, codes.Value);
        Assert.Contains("normalises", Assert.Throws<ArgumentException>(() => sae.Decode(without, new float[3 * D])).Message);
        // A row of one value has no spread: it comes back as it was, whatever is decoded.
        var flat = new float[D];
        flat.AsSpan().Fill(4.5f);
        var back = new float[D];
        sae.Decode(sae.Encode(flat, 1), back);
        Assert.Equal(flat, back);
    }

    internal static void WriteSaeLens(string folder, StoredSae stored, string cfg, TensorSource? extra = null, DType dtype = DType.F32)
    {
        Directory.CreateDirectory(folder);
        List<TensorSource> tensors =
        [
            stored.Of("W_enc", dtype, StoredSae.Transposed(stored.Encoder, stored.F, stored.D), stored.D, stored.F), stored.Of("W_dec", dtype, stored.Decoder, stored.F, stored.D),
            stored.Of("b_enc", dtype, stored.EncoderBias, stored.F), stored.Of("b_dec", dtype, stored.DecoderBias, stored.D),
        ];
        if (stored.Architecture == SaeArchitecture.JumpRelu)
            tensors.Add(stored.Of("threshold", dtype, stored.Threshold, stored.F));
        if (extra is not null)
            tensors.Add(extra);
        SafetensorsWriter.Write(Path.Combine(folder, "sae_weights.safetensors"), tensors);
        File.WriteAllText(Path.Combine(folder, "cfg.json"), cfg);
    }

    private static void AssertForward(StoredSae stored, string folder, SaeFormat format)
    {
        var about = SaeFolder.Describe(folder);
        Assert.Equal((format, stored.Architecture, stored.D, stored.F, stored.Architecture == SaeArchitecture.TopK ? stored.K : 0),
            (about.Format, about.Architecture, about.DIn, about.DSae, about.K));
        Assert.True(File.Exists(about.Files[0]) && about.Files[0].EndsWith(".safetensors", StringComparison.Ordinal));
        var sae = SaeFolder.Load(folder);
        Assert.Equal((about.Architecture, about.K), (sae.Architecture, sae.K));
        var x = stored.Inputs(Rows);
        var (codes, reconstruction) = stored.Forward(x, Rows);
        var got = sae.Encode(x, Rows);
        Assert.True(got.NonZeros is > Rows and < Rows * F / 2 + Rows * 4, $"{got.NonZeros} of {Rows * F} are active: nothing is tested");
        AssertClose(codes, [.. Enumerable.Range(0, Rows).SelectMany(i => Dense(got, i))], 2e-6, "codes");
        var back = new float[Rows * stored.D];
        sae.Decode(got, back);
        AssertClose(reconstruction, back, 2e-6, "reconstruction");
    }

    private static float[] Dense(SparseCodes codes, int row)
    {
        var dense = new float[codes.Width];
        for (var n = 0; n < codes.RowIndex(row).Length; n++)
            dense[codes.RowIndex(row)[n]] = codes.RowValue(row)[n];
        return dense;
    }

    private static void AssertClose(double[] expected, float[] got, double tolerance, string what)
    {
        var scale = expected.Max(Math.Abs);
        var worst = expected.Zip(got, (e, g) => Math.Abs(e - g)).Max() / scale;
        Assert.True(worst <= tolerance, string.Create(CultureInfo.InvariantCulture, $"{what} differ by {worst:0.0e+00} of the greatest"));
    }
}
