using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// sparsify 1.0 to 1.3: <c>cfg.json</c> beside <c>sae.safetensors</c> with encoder.weight [F, d], encoder.bias [F], W_dec [F, d], b_dec [d]. Always a top-k
/// that takes b_dec off its input; <c>num_latents</c> 0 stands for d_in times <c>expansion_factor</c>. Source: <c>sparsify/sparse_coder.py</c>,
/// <c>config.py</c>.
/// </summary>
internal static class SparsifyFormat
{
    public const string ConfigFile = SaeLensFormat.ConfigFile, WeightsFile = "sae.safetensors";

    /// <summary>Switches that make something else of it, in this version or a variant.</summary>
    private static readonly string[] s_otherwise = ["transcode", "skip_connection", "signed", "jumprelu", "normalize_io", "post_encoder_scale"];

    public static SaePlan Plan(StrictJson cfg, WeightFile weights)
    {
        if (cfg.Text("activation") is { } activation and not "topk")
            throw cfg.Unsupported("activation", $"'{activation}' is not computed here; topk is");
        foreach (var key in s_otherwise)
            if (cfg.Flag(key, false))
                throw cfg.Unsupported(key, "is true; such an autoencoder is not computed here");
        if (cfg.Number("encoder_rank", 0) is var rank and not 0)
            throw cfg.Unsupported("encoder_rank", $"is {rank}; an encoder of low rank is not computed here");
        var dIn = cfg.Size(null, "d_in");
        var latents = cfg.Number("num_latents", 0) == 0 ? (long)dIn * cfg.Size(null, "expansion_factor") : cfg.Size(null, "num_latents");
        var k = cfg.Size(null, "k");
        SaePlan.CheckSizes(cfg.File, dIn, latents, k);
        var dSae = (int)latents;
        weights.Expect("encoder.weight", dSae, dIn);
        weights.Expect("encoder.bias", dSae);
        weights.Expect("W_dec", dSae, dIn);
        weights.Expect("b_dec", dIn);
        weights.RefuseRest();
        return new SaePlan(dIn, dSae, k, p =>
        {
            weights.Rows("encoder.weight", p, p.WEnc);
            weights.Rows("W_dec", p, p.WDec);
            weights.Vector("encoder.bias", p.BEnc.Slice(0, dSae));
            weights.Vector("b_dec", p.BDec.Slice(0, dIn));
        });
    }

    /// <exception cref="NotSupportedException">It is no top-k, or normalises its inputs.</exception>
    public static void Write(SparseAutoencoder sae, string folder)
    {
        if (sae.Architecture != SaeArchitecture.TopK || sae.SampleNorm != SampleNorm.None)
            throw new NotSupportedException($"sparsify holds top-k autoencoders that take activations as they are, and not {Described.Of(sae)}");
        var p = sae.Parameters;
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile),
        [
            SaeTensors.Rows("encoder.weight", p, p.WEnc), SaeTensors.Rows("W_dec", p, p.WDec), SaeTensors.Vector("b_dec", p.BDec, p.DIn),
            sae.SubtractsDecoderBias ? SaeTensors.Vector("encoder.bias", p.BEnc, p.DSae) : SaeTensors.Vector("encoder.bias", Folding.OtherEncoderBias(sae)),
        ]);
        SaeTensors.WriteJson(Path.Combine(folder, ConfigFile), json =>
        {
            json.WriteString("activation", "topk");
            json.WriteNumber("expansion_factor", Math.Max(1, p.DSae / p.DIn));
            json.WriteBoolean("normalize_decoder", true);
            json.WriteNumber("num_latents", p.DSae);   // named outright: d_sae need not be a multiple of d_in
            json.WriteNumber("k", sae.K);
            json.WriteBoolean("multi_topk", false);
            json.WriteBoolean("skip_connection", false);
            json.WriteBoolean("transcode", false);
            json.WriteNumber("d_in", p.DIn);
        });
    }
}
