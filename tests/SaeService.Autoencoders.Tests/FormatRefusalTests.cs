using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>What would be misread, or is not computed here, is refused by name; pickles with the command that converts them.</summary>
public sealed class FormatRefusalTests
{
    [Theory]
    [InlineData("\"architecture\":\"gated\"", "'architecture': 'gated' is not computed here")]
    [InlineData("\"architecture\":\"transcoder\"", "'transcoder'")]
    [InlineData("\"architecture\":\"matching_pursuit\"", "'matching_pursuit'")]
    [InlineData("\"architecture\":\"batchtopk\"", "saves it for inference as jumprelu")]
    [InlineData("\"architecture\":7", "'architecture': must be a string")]
    [InlineData("\"architecture\":\"standard\",\"activation_fn_str\":\"tanh-relu\"", "'tanh-relu'")]
    [InlineData("\"architecture\":\"topk\"", "'k': is missing")]
    [InlineData("\"architecture\":\"topk\",\"k\":54", "K is 54")]
    [InlineData("\"architecture\":\"topk\",\"k\":0", "'k': must be a whole number")]
    [InlineData("\"architecture\":\"jumprelu\"", "'threshold': the tensor is missing")]
    [InlineData("\"architecture\":\"standard\",\"rescale_acts_by_decoder_norm\":true", "rescale_acts_by_decoder_norm")]
    [InlineData("\"architecture\":\"standard\",\"reshape_activations\":\"cube\"", "'cube'")]
    [InlineData("\"architecture\":\"standard\",\"normalize_activations\":\"batch\"", "'batch'")]
    [InlineData("\"architecture\":\"standard\",\"normalize_activations\":true", "activation_scaler.json")]
    [InlineData("\"architecture\":\"standard\",\"finetuning_scaling_factor\":true", "no tensor 'finetuning_scaling_factor'")]
    [InlineData("\"architecture\":\"standard\",\"apply_b_dec_to_input\":\"yes\"", "'apply_b_dec_to_input': must be true or false")]
    [InlineData("\"architecture\":\"standard\",\"d_sae\":53", "not valid JSON")]
    public void Of_a_SAELens_folder(string keys, string named)
    {
        using var scratch = new Scratch();
        FormatOracleTests.WriteSaeLens(scratch["s"], new StoredSae(20, 53, 1) { Architecture = SaeArchitecture.Standard }, $$"""{"d_in":20,"d_sae":53,{{keys}}}""");
        Assert.Contains(named, Refused(scratch["s"]).Message);
    }

    [Theory]
    [InlineData("""{"d_in":20,"d_sae":54,"architecture":"standard"}""", "sae_weights.safetensors: 'W_enc': is F32 [20, 53], expected F32, F16, BF16 or F64 [20, 54]")]
    [InlineData("""{"d_in":65537,"d_sae":4194305,"architecture":"standard"}""", "DIn is 65537")]
    [InlineData("""{"d_in":65536,"d_sae":4000000,"architecture":"standard"}""", "DSae is 4000000")]
    [InlineData("""{"d_in":20,"architecture":"standard"}""", "cfg.json: has neither 'd_sae'")]
    [InlineData("""[1]""", "is not a JSON object")]
    public void Of_sizes_before_anything_is_read(string cfg, string named)
    {
        using var scratch = new Scratch();
        FormatOracleTests.WriteSaeLens(scratch["s"], new StoredSae(20, 53, 1) { Architecture = SaeArchitecture.Standard }, cfg);
        Assert.Contains(named, Refused(scratch["s"]).Message);
    }

    [Fact]
    public void Of_tensors()
    {
        using var scratch = new Scratch();
        const string Cfg = """{"architecture":"standard","d_in":20,"d_sae":53}""";
        var stored = new StoredSae(20, 53, 1) { Architecture = SaeArchitecture.Standard };
        FormatOracleTests.WriteSaeLens(scratch["s"], stored, Cfg, stored.Of("r_mag", DType.F32, stored.EncoderBias, 53));
        var left = Refused(scratch["s"]);
        Assert.Equal((CheckpointFault.Unsupported, "r_mag"), (left.Fault, left.Key));

        stored.Encoder[5] = float.NaN;
        FormatOracleTests.WriteSaeLens(scratch["s"], stored, Cfg);
        Assert.Equal("sae_weights.safetensors: 'W_enc': holds NaN", Refused(scratch["s"]).Message);
        SaeFolder.Describe(scratch["s"]);   // which reads no value

        stored.Encoder[5] = 1e30f;
        FormatOracleTests.WriteSaeLens(scratch["s"], stored, """{"architecture":"standard","d_in":20,"d_sae":53,"normalize_activations":true}""");
        File.WriteAllText(Path.Combine(scratch["s"], "activation_scaler.json"), """{"scaling_factor": 1e30}""");
        Assert.Contains("'W_enc': holds", Refused(scratch["s"]).Message);
        File.WriteAllText(Path.Combine(scratch["s"], "activation_scaler.json"), """{"scaling_factor": -1}""");
        Assert.Contains("above 0", Refused(scratch["s"]).Message);

        File.WriteAllText(Path.Combine(scratch["s"], "cfg.json"), Cfg);
        SafetensorsWriter.Write(Path.Combine(scratch["s"], "sae_weights.safetensors"), [TensorSource.Of<int>("W_enc", DType.I32, [20, 53], new int[20 * 53])]);
        Assert.Contains("'W_enc': is I32 [20, 53]", Refused(scratch["s"]).Message);
    }

    [Theory]
    [InlineData("\"activation\":\"groupmax\"", "'groupmax'")]
    [InlineData("\"transcode\":true", "'transcode': is true")]
    [InlineData("\"skip_connection\":true", "skip_connection")]
    [InlineData("\"signed\":true", "'signed'")]
    [InlineData("\"encoder_rank\":8", "low rank")]
    public void Of_a_sparsify_folder(string keys, string named)
    {
        using var scratch = new Scratch();
        Directory.CreateDirectory(scratch["s"]);
        File.WriteAllText(Path.Combine(scratch["s"], "cfg.json"), $$"""{"d_in":20,"num_latents":53,"k":3,{{keys}}}""");
        SafetensorsWriter.Write(Path.Combine(scratch["s"], "sae.safetensors"), [TensorSource.Of<float>("encoder.bias", DType.F32, [1], new float[1])]);
        Assert.Contains(named, Refused(scratch["s"]).Message);
    }

    [Fact]
    public void Of_dictionary_learning()
    {
        using var scratch = new Scratch();
        var folder = Directory.CreateDirectory(scratch["s"]).FullName;
        var stored = new StoredSae(20, 53, 1);
        void Write(params TensorSource[] more) => SafetensorsWriter.Write(Path.Combine(folder, "ae.safetensors"),
        [
            stored.Of("encoder.weight", DType.F32, stored.Encoder, 53, 20), stored.Of("encoder.bias", DType.F32, stored.EncoderBias, 53),
            stored.Of("decoder.weight", DType.F32, StoredSae.Transposed(stored.Decoder, 53, 20), 20, 53), .. more,
        ]);
        TensorSource bias = stored.Of("b_dec", DType.F32, stored.DecoderBias, 20), k = TensorSource.Of<int>("k", DType.I32, [], new[] { 3 });
        Write(bias, k, stored.Of("threshold", DType.F32, [-1]));
        Assert.Contains("of an AutoEncoderTopK or of a BatchTopKSAE", Refused(folder).Message);
        Config("BatchTopKSAE");
        Assert.Contains("'threshold': is -1", Refused(folder).Message);
        Config("GatedAutoEncoder");
        Assert.Contains("config.json: 'trainer.dict_class': 'GatedAutoEncoder' is not computed here", Refused(folder).Message);
        Config("AutoEncoderTopK", 21);
        Assert.Contains("'trainer.activation_dim': is 21", Refused(folder).Message);
        Config("AutoEncoderTopK");
        Write(bias, TensorSource.Of<int>("k", DType.I32, [], new[] { -3 }));
        Assert.Contains("'k': is -3", Refused(folder).Message);
        Write(bias, TensorSource.Of<int>("k", DType.I32, [2], new[] { 3, 3 }));
        Assert.Contains("'k': is I32 [2], not one number", Refused(folder).Message);
        Write(bias, k);
        Assert.Equal(3, SaeFolder.Load(folder).K);
        File.Delete(Path.Combine(folder, "config.json"));
        Write(stored.Of("decoder_bias", DType.F32, stored.DecoderBias, 20), stored.Of("r_mag", DType.F32, stored.EncoderBias, 53));
        Assert.Contains("GatedAutoEncoder", Refused(folder).Message);

        void Config(string kind, int d = 20) =>
            File.WriteAllText(Path.Combine(folder, "config.json"), $$"""{"trainer":{"dict_class":"{{kind}}","activation_dim":{{d}},"dict_size":53} }""");
    }

    [Fact]
    public void Of_an_OpenAi_file()
    {
        using var scratch = new Scratch();
        var folder = Directory.CreateDirectory(scratch["s"]).FullName;
        var stored = new StoredSae(20, 53, 1);
        void Write(params (string Key, string Value)[] metadata) => SafetensorsWriter.Write(Path.Combine(folder, "autoencoder.safetensors"),
        [
            stored.Of("encoder.weight", DType.F32, stored.Encoder, 53, 20), stored.Of("latent_bias", DType.F32, stored.EncoderBias, 53),
            stored.Of("decoder.weight", DType.F32, StoredSae.Transposed(stored.Decoder, 53, 20), 20, 53), stored.Of("pre_bias", DType.F32, stored.DecoderBias, 20),
        ], metadata.ToDictionary(m => m.Key, m => m.Value));
        foreach (var (metadata, named) in new ((string, string)[], string)[]
        {
            ([], "'__metadata__.activation': is missing"), ([("activation", "Identity")], "'Identity'"), ([("activation", "TopK")], "'__metadata__.k'"),
            ([("activation", "TopK"), ("k", "-3")], "'__metadata__.k'"), ([("activation", "TopK"), ("k", "54")], "K is 54"),
            ([("activation", "TopK"), ("k", "3"), ("postact_fn", "Identity")], "'__metadata__.postact_fn': 'Identity'"),
            ([("activation", "ReLU"), ("normalize", "maybe")], "'__metadata__.normalize'"),
        })
        {
            Write(metadata);
            Assert.Contains(named, Refused(folder).Message);
        }
    }

    [Theory]
    [InlineData(null, null, "ae.pt", "load('ae.pt', map_location='cpu', weights_only=True).items()}, 'ae.safetensors')\"")]
    [InlineData("config.json", """{"trainer":{"dict_class":"AutoEncoderTopK"}}""", "ae_100.pt", "load('ae_100.pt', map_location='cpu', weights_only=True).items()}, 'ae.safetensors')\"")]
    [InlineData("cfg.json", """{"d_in":20,"num_latents":53,"k":3}""", "sae.pt", "load('sae.pt', map_location='cpu', weights_only=True).items()}, 'sae.safetensors')\"")]
    [InlineData(null, null, "7.pt", "'autoencoder.safetensors', {'activation': s.get('activation', 'ReLU'), 'k'")]
    [InlineData(null, null, "x'; rm.pth", "load('FILE', ")]
    public void Of_pickles_with_the_command_that_converts_them(string? config, string? json, string pickle, string command)
    {
        using var scratch = new Scratch();
        var folder = Directory.CreateDirectory(scratch["s"]).FullName;
        if (config is not null)
            File.WriteAllText(Path.Combine(folder, config), json);
        File.WriteAllBytes(Path.Combine(folder, pickle), [0x80, 2]);
        var refused = Refused(folder);
        Assert.Equal(CheckpointFault.PickleOnly, refused.Fault);
        Assert.StartsWith(pickle + ": ", refused.Message);
        Assert.Contains("python3 -c \"from torch import load; from safetensors.torch import save_file; ", refused.Message);
        Assert.Contains(command, refused.Message);
    }

    [Fact]
    public void Of_folders_without_an_autoencoder()
    {
        using var scratch = new Scratch();
        Assert.Equal(CheckpointFault.NotFound, Refused(scratch["none"]).Fault);
        var folder = Directory.CreateDirectory(scratch["s"]).FullName;
        Assert.Equal(CheckpointFault.NotFound, Refused(folder).Fault);
        File.WriteAllText(Path.Combine(folder, "config.json"), """{"model_type":"llama"}""");
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [TensorSource.Of<float>("lm_head.weight", DType.F32, [1], new float[1])]);
        Assert.Contains("no autoencoder that is known here", Refused(folder).Message);
        File.Copy(Path.Combine(folder, "model.safetensors"), Path.Combine(folder, "other.safetensors"));
        Assert.Contains("2 safetensors files", Refused(folder).Message);
        File.WriteAllText(Path.Combine(folder, "cfg.json"), """{"d_in":20,"d_sae":53}""");
        Assert.Equal(CheckpointFault.NotFound, Refused(folder).Fault);
    }

    private static CheckpointException Refused(string folder) => Assert.Throws<CheckpointException>(() => SaeFolder.Load(folder));
}
