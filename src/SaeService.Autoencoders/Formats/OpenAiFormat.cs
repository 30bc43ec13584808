using System.Globalization;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// OpenAI's sparse_autoencoder: its state dict as safetensors (the project itself pickles it): encoder.weight [F, d], latent_bias [F], decoder.weight
/// [d, F], pre_bias [d], stats_last_nonzero [F]. What is no tensor in the state dict is metadata of the file: <c>activation</c> (TopK or ReLU), <c>k</c>,
/// <c>postact_fn</c> (ReLU), and <c>normalize</c>: whether each input is normalised by its own mean and deviation. Where that is absent a TopK is
/// normalised and others are not, which is what the project's own loader does. Source: <c>sparse_autoencoder/model.py</c>.
/// </summary>
internal static class OpenAiFormat
{
    public const string WeightsFile = "autoencoder.safetensors";
    private const string TopK = "TopK", Relu = "ReLU";

    public static bool IsIn(WeightFile weights) => weights.Has("pre_bias") && weights.Has("latent_bias");

    public static SaePlan Plan(WeightFile weights)
    {
        var activation = weights.Metadata.GetValueOrDefault("activation")
            ?? throw Metadata("activation", "is missing; the command that converts the original writes it");
        if (activation is not (TopK or Relu))
            throw new CheckpointException(CheckpointFault.Unsupported, weights.Path, "__metadata__.activation",
                $"'{activation}' is not computed here; {TopK} and {Relu} are");
        var k = 0;
        if (activation == TopK)
        {
            if (!int.TryParse(weights.Metadata.GetValueOrDefault("k"), NumberStyles.None, CultureInfo.InvariantCulture, out k) || k < 1)
                throw Metadata("k", "must be a whole number above 0");
            if (weights.Metadata.GetValueOrDefault("postact_fn") is { Length: > 0 } after and not Relu)
                throw new CheckpointException(CheckpointFault.Unsupported, weights.Path, "__metadata__.postact_fn",
                    $"'{after}' is not computed here; {Relu} is");
        }
        var normalised = weights.Metadata.GetValueOrDefault("normalize") switch
        {
            null or "" => activation == TopK,
            "true" => true,
            "false" => false,
            var other => throw Metadata("normalize", $"must be true or false, not '{(other.Length > 40 ? other[..40] : other)}'"),
        };
        var (rows, columns) = weights.MatrixShape("encoder.weight");
        SaePlan.CheckSizes(weights.Path, columns, rows, k);
        var (dIn, dSae) = ((int)columns, (int)rows);
        if (normalised && dIn < 2)
            throw new CheckpointException(CheckpointFault.Invalid, weights.Path, "encoder.weight", "normalised inputs need at least 2 components");
        weights.Expect("encoder.weight", dSae, dIn);
        weights.Expect("decoder.weight", dIn, dSae);
        weights.Expect("latent_bias", dSae);
        weights.Expect("pre_bias", dIn);
        weights.Ignore("stats_last_nonzero");
        weights.RefuseRest();
        return new SaePlan(dIn, dSae, k, p =>
        {
            weights.Rows("encoder.weight", p, p.WEnc);
            weights.Columns("decoder.weight", p, p.WDec);
            weights.Vector("latent_bias", p.BEnc.Slice(0, dSae));
            weights.Vector("pre_bias", p.BDec.Slice(0, dIn));
        })
        {
            SampleNorm = normalised ? SampleNorm.LayerNorm : SampleNorm.None,
        };

        CheckpointException Metadata(string key, string message) => new(CheckpointFault.Invalid, weights.Path, $"__metadata__.{key}", message);
    }

    /// <exception cref="NotSupportedException">It is a JumpReLU, or divides its inputs by their norm.</exception>
    public static void Write(SparseAutoencoder sae, string folder)
    {
        if (sae.Architecture == SaeArchitecture.JumpRelu || sae.SampleNorm == SampleNorm.ConstantNorm)
            throw new NotSupportedException(
                $"OpenAI's class holds TopK and ReLU autoencoders of activations as they are or layer-normalised, and not {Described.Of(sae)}");
        var p = sae.Parameters;
        var metadata = new Dictionary<string, string>
        {
            ["format"] = "pt",
            ["activation"] = sae.Architecture == SaeArchitecture.TopK ? TopK : Relu,
            ["normalize"] = sae.SampleNorm == SampleNorm.LayerNorm ? "true" : "false",
        };
        if (sae.Architecture == SaeArchitecture.TopK)
            (metadata["k"], metadata["postact_fn"]) = (sae.K.ToString(CultureInfo.InvariantCulture), Relu);
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile),
        [
            SaeTensors.Rows("encoder.weight", p, p.WEnc), SaeTensors.Columns("decoder.weight", p, p.WDec), SaeTensors.Vector("pre_bias", p.BDec, p.DIn),
            sae.SubtractsDecoderBias ? SaeTensors.Vector("latent_bias", p.BEnc, p.DSae) : SaeTensors.Vector("latent_bias", Folding.OtherEncoderBias(sae)),
            TensorSource.Of<long>("stats_last_nonzero", DType.I64, [p.DSae], new long[p.DSae]),
        ], metadata);
    }
}
