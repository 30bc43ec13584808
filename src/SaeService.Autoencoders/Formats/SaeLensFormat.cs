using System.Text.Json;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// SAELens, versions 3 to 6: <c>cfg.json</c> beside <c>sae_weights.safetensors</c> with W_enc [d, F], W_dec [F, d], b_enc, b_dec, and <c>threshold</c> [F]
/// of a JumpReLU. What its configuration asks for at run time is folded in: a scale of the inputs, the decoder's norms, the factors of fine-tuning. A
/// per-sample normalisation stays. Older versions name the activation in <c>activation_fn_str</c> (or <c>activation_fn</c>), k in its arguments, and
/// switch the scale of the inputs by a Boolean. Checked against its source at 6.18: <c>saes/sae.py</c>, <c>loading/pretrained_sae_loaders.py</c>.
/// </summary>
internal static class SaeLensFormat
{
    public const string ConfigFile = "cfg.json", WeightsFile = "sae_weights.safetensors", ScaleFile = "activation_scaler.json";

    // The release whose loader these files were checked against; its loader insists on a version it can parse.
    private const string Version = "6.18.0";
    private const string OwnSection = "sae_service";

    public static SaePlan Plan(StrictJson cfg, WeightFile weights)
    {
        var architecture = cfg.Text("architecture") ?? "standard";
        var activation = cfg.Text("activation_fn_str") ?? cfg.Text("activation_fn") ?? (architecture == "topk" ? "topk" : "relu");
        if (architecture is not ("topk" or "standard" or "jumprelu"))
            throw cfg.Unsupported("architecture", $"'{architecture}' is not computed here; topk, standard and jumprelu are"
                + (architecture is "batchtopk" or "matryoshka_batchtopk" ? " (SAELens saves it for inference as jumprelu)" : ""));
        // Before version 6 a standard autoencoder could have any activation; those of a topk are named again, or not at all.
        var topK = architecture == "topk" || (architecture == "standard" && activation == "topk");
        if (activation != "relu" && !(topK && activation == "topk"))
            throw cfg.Unsupported("activation_fn_str", $"'{activation}' is not computed here; relu and topk are");

        var (dIn, dSae) = (cfg.Size(null, "d_in"), cfg.Size(null, "d_sae"));
        var k = !topK ? 0 : cfg.Value("k") is null && cfg.Nested("activation_fn_kwargs") is { } arguments ? arguments.Size(null, "k") : cfg.Size(null, "k");
        SaePlan.CheckSizes(cfg.File, dIn, dSae, k);
        if (cfg.Text("reshape_activations") is { } reshape and not ("none" or "hook_z"))
            throw cfg.Unsupported("reshape_activations", $"'{reshape}' is not computed here; none and hook_z (heads side by side) are");
        var norm = Normalisation(cfg, dIn, out var scale);

        weights.Expect("W_enc", dIn, dSae);
        weights.Expect("W_dec", dSae, dIn);
        weights.Expect("b_enc", dSae);
        weights.Expect("b_dec", dIn);
        if (architecture == "jumprelu")
            weights.Expect("threshold", dSae);
        var rescale = cfg.Flag("rescale_acts_by_decoder_norm", false);
        if (rescale && !topK)
            throw cfg.Unsupported("rescale_acts_by_decoder_norm", $"is not known of a {architecture} autoencoder");
        var factors = Factors(cfg, weights, dSae);
        weights.RefuseRest();

        var own = cfg.Nested(OwnSection);
        return new SaePlan(dIn, dSae, k, p =>
        {
            weights.Columns("W_enc", p, p.WEnc);
            weights.Rows("W_dec", p, p.WDec);
            weights.Vector("b_enc", p.BEnc.Slice(0, dSae));
            weights.Vector("b_dec", p.BDec.Slice(0, dIn));
            if (factors is not null)
                Folding.DecoderFactors(p, Read(weights, factors, dSae));
            if (rescale)
                Folding.DecoderNorms(p);
            if (scale is { } s)
                Folding.InputScale(p, s);
        })
        {
            Thresholds = architecture == "jumprelu" ? () => Read(weights, "threshold", dSae) : null,
            SubtractsDecoderBias = cfg.Flag("apply_b_dec_to_input", true),
            SampleNorm = norm,
            InputScale = scale ?? (float)(own?.Number("input_scale", 1) ?? 1),
            Threshold = topK ? (float?)own?.OptionalNumber("threshold", null) : null,
        };
    }

    /// <summary>
    /// The per-sample normalisation, or the scale that stood for all inputs in training: SAELens
    /// keeps it beside a checkpoint until it is folded in.
    /// </summary>
    private static SampleNorm Normalisation(StrictJson cfg, int dIn, out float? scale)
    {
        scale = null;
        const string Key = "normalize_activations";
        var asked = cfg.Value(Key) switch
        {
            null or { ValueKind: JsonValueKind.False } => "none",
            { ValueKind: JsonValueKind.True } => "expected_average_only_in",
            _ => cfg.Text(Key),
        };
        switch (asked)
        {
            case "none":
                return SampleNorm.None;
            case "constant_norm_rescale":
                return SampleNorm.ConstantNorm;
            case "layer_norm":
                return dIn >= 2 ? SampleNorm.LayerNorm : throw cfg.Invalid("d_in", $"is {dIn}: {Key} 'layer_norm' needs at least 2");
            case "expected_average_only_in":
                var file = Path.Combine(Path.GetDirectoryName(cfg.File)!, ScaleFile);
                var factor = File.Exists(file) ? new StrictJson(CheckpointJson.Read(file, 1 << 16), file).OptionalNumber("scaling_factor", null) : null;
                scale = (float?)factor;
                return scale is > 0 and < float.PositiveInfinity ? SampleNorm.None
                    : throw cfg.Unsupported(Key, $"'expected_average_only_in' needs the factor that its activations were scaled by, sqrt(d_in) / mean norm: "
                        + $"write {{\"scaling_factor\": …}}, above 0, to {ScaleFile} beside this file");
            default:
                throw cfg.Unsupported(Key, $"'{asked}' is not computed here; none, expected_average_only_in, constant_norm_rescale and layer_norm are");
        }
    }

    /// <summary>Name of the tensor of fine-tuning factors, where they are in use. Files of a time have one of ones that is not.</summary>
    private static string? Factors(StrictJson cfg, WeightFile weights, int dSae)
    {
        const string Key = "finetuning_scaling_factor";
        var name = weights.Has("scaling_factor") ? "scaling_factor" : Key;
        var used = cfg.Flag(Key, false);
        if (!weights.Has(name))
            return used ? throw cfg.Invalid(Key, $"is true, but {Path.GetFileName(weights.Path)} has no tensor '{Key}' or 'scaling_factor'") : null;
        weights.Expect(name, dSae);
        if (!used && Read(weights, name, dSae).Any(factor => Math.Abs(factor - 1) > 1e-5))
            throw cfg.Invalid(Key, $"is false, but {Path.GetFileName(weights.Path)} has a tensor '{name}' that is not all ones");
        return used ? name : null;
    }

    private static float[] Read(WeightFile weights, string name, int length)
    {
        var values = new float[length];
        weights.Vector(name, values);
        return values;
    }

    /// <summary>Writes both files. Scale and threshold of a top-k go into a section of our own, which SAELens passes over.</summary>
    public static void Write(SparseAutoencoder sae, string folder, SaeSource source, double? l0, int? deadLatents)
    {
        var p = sae.Parameters;
        List<TensorSource> tensors = [SaeTensors.Columns("W_enc", p, p.WEnc), SaeTensors.Rows("W_dec", p, p.WDec),
            SaeTensors.Vector("b_enc", p.BEnc, p.DSae), SaeTensors.Vector("b_dec", p.BDec, p.DIn)];
        if (sae.Thresholds is { } thresholds)
            tensors.Add(SaeTensors.Vector("threshold", thresholds));
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        var architecture = Architectures.NameOf(sae.Architecture);
        SaeTensors.WriteJson(Path.Combine(folder, ConfigFile), json =>
        {
            json.WriteString("architecture", architecture);
            json.WriteNumber("d_in", p.DIn);
            json.WriteNumber("d_sae", p.DSae);
            if (sae.Architecture == SaeArchitecture.TopK)
                json.WriteNumber("k", sae.K);
            json.WriteString("dtype", "float32");
            json.WriteString("device", "cpu");
            json.WriteBoolean("apply_b_dec_to_input", sae.SubtractsDecoderBias);
            json.WriteString("normalize_activations", sae.SampleNorm switch
            {
                SampleNorm.None => "none",
                SampleNorm.LayerNorm => "layer_norm",
                _ => "constant_norm_rescale",
            });
            json.WriteString("reshape_activations", "none");
            json.WriteBoolean("rescale_acts_by_decoder_norm", false);
            WriteMetadata(json, source, architecture, l0, deadLatents);
            json.WriteStartObject(OwnSection);
            json.WriteNumber("input_scale", sae.InputScale);
            if (sae.Threshold is { } threshold)
                json.WriteNumber("threshold", threshold);
            json.WriteEndObject();
        });
    }

    private static void WriteMetadata(Utf8JsonWriter json, SaeSource source, string architecture, double? l0, int? deadLatents)
    {
        json.WriteStartObject("metadata");
        json.WriteString("sae_lens_version", Version);
        json.WriteNull("sae_lens_training_version");
        json.WriteString("model_name", source.ModelName);
        json.WriteString("model_class_name", "HookedTransformer");
        json.WriteString("hook_name", source.HookName);
        json.WriteNull("hook_head_index");
        json.WriteNumber("context_size", source.ContextSize);
        json.WriteStartArray("seqpos_slice");
        json.WriteNullValue();
        json.WriteEndArray();
        json.WriteString("dataset_path", source.DatasetPath);
        json.WriteBoolean("prepend_bos", source.PrependBos);
        json.WriteBoolean("exclude_special_tokens", true);
        json.WriteString("sequence_separator_token", "bos");
        json.WriteBoolean("disable_concat_sequences", true);
        json.WriteStartObject("model_from_pretrained_kwargs");
        json.WriteEndObject();
        json.WriteNull("neuronpedia_id");
        if (l0 is { } mean)
            json.WriteNumber("l0", mean);
        if (deadLatents is { } dead)
            json.WriteNumber("num_dead_features", dead);
        json.WriteString("training_architecture", source.TrainedAs ?? architecture);
        json.WriteStartObject("training_architecture_details");
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
