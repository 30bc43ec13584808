using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// dictionary_learning: the state dict of a dictionary as <c>ae.safetensors</c> (the project itself pickles it to <c>ae.pt</c>) beside the
/// <c>config.json</c> of its training, whose <c>trainer.dict_class</c> tells apart what has the same tensors. Linear layers: encoder.weight [F, d],
/// decoder.weight [d, F]; classes with plain matrices: W_enc [d, F], W_dec [F, d]. BatchTopK dictionaries are used with their one threshold, as their own
/// <c>encode</c> does. Source: <c>dictionary.py</c>, <c>trainers/top_k.py</c>, <c>batch_top_k.py</c>, <c>matryoshka_batch_top_k.py</c>.
/// </summary>
internal static class DictionaryLearningFormat
{
    public const string ConfigFile = "config.json", WeightsFile = "ae.safetensors";

    private const string Relu = "AutoEncoder", ReluUncentred = "AutoEncoderNew", TopK = "AutoEncoderTopK", BatchTopK = "BatchTopKSAE",
        Matryoshka = "MatryoshkaBatchTopKSAE", JumpRelu = "JumpReluAutoEncoder";

    /// <param name="config">Null where there is none: then the tensors must tell.</param>
    public static SaePlan Plan(StrictJson? config, WeightFile weights)
    {
        var trainer = config?.Nested("trainer");
        var kind = trainer?.Text("dict_class") ?? KindOf(weights);
        if (kind is not (Relu or ReluUncentred or TopK or BatchTopK or Matryoshka or JumpRelu))
            throw trainer!.Unsupported("dict_class",
                $"'{kind}' is not computed here; {Relu}, {ReluUncentred}, {TopK}, {BatchTopK}, {Matryoshka} and {JumpRelu} are");
        var linear = kind is not (Matryoshka or JumpRelu);
        var (rows, columns) = weights.MatrixShape(linear ? "encoder.weight" : "W_enc");
        var (longIn, longSae) = linear ? (columns, rows) : (rows, columns);
        var k = kind == TopK ? KOf(trainer, weights) : 0;
        SaePlan.CheckSizes(weights.Path, longIn, longSae, k);
        var (dIn, dSae) = ((int)longIn, (int)longSae);
        foreach (var (key, size) in new[] { ("activation_dim", dIn), ("dict_size", dSae) })
            if (trainer?.OptionalSize(key, null) is { } said && said != size)
                throw trainer.Invalid(key, $"is {said}, but the tensors of {Path.GetFileName(weights.Path)} have {size}");

        var (encoder, decoder) = linear ? ("encoder.weight", "decoder.weight") : ("W_enc", "W_dec");
        var (encoderBias, decoderBias) = (linear ? "encoder.bias" : "b_enc", kind switch { Relu => "bias", ReluUncentred => "decoder.bias", _ => "b_dec" });
        weights.Expect(encoder, linear ? [dSae, dIn] : [dIn, dSae]);
        weights.Expect(decoder, linear ? [dIn, dSae] : [dSae, dIn]);
        weights.Expect(encoderBias, dSae);
        weights.Expect(decoderBias, dIn);
        if (kind == JumpRelu)
            weights.Expect("threshold", dSae);
        var one = kind is BatchTopK or Matryoshka ? OneThreshold(weights) : null;
        // k of a BatchTopK was for training, and the groups of a Matryoshka are all in use.
        weights.Ignore("k", "threshold", "group_sizes");
        weights.RefuseRest();
        return new SaePlan(dIn, dSae, k, p =>
        {
            if (linear)
            {
                weights.Rows(encoder, p, p.WEnc);
                weights.Columns(decoder, p, p.WDec);
            }
            else
            {
                weights.Columns(encoder, p, p.WEnc);
                weights.Rows(decoder, p, p.WDec);
            }
            weights.Vector(encoderBias, p.BEnc.Slice(0, dSae));
            weights.Vector(decoderBias, p.BDec.Slice(0, dIn));
        })
        {
            SubtractsDecoderBias = kind is not (ReluUncentred or JumpRelu),
            Threshold = kind == TopK && weights.Has("threshold") && weights.Scalar("threshold") is var mean and >= 0 ? (float)mean : null,
            Thresholds = kind == JumpRelu ? () => Read(weights, dSae) : one is { } same ? () => [.. Enumerable.Repeat(same, dSae)] : null,
        };
    }

    /// <summary>The class whose tensors these are; the state dicts of a TopK and a BatchTopK are the same.</summary>
    private static string KindOf(WeightFile weights) =>
        weights.Has("gate_bias") || weights.Has("r_mag") ? throw Unclear("these are the tensors of a GatedAutoEncoder, which is not computed here")
        : weights.Has("W_enc") ? weights.Has("group_sizes") ? Matryoshka : JumpRelu
        : weights.Has("bias") ? Relu
        : weights.Has("decoder.bias") ? ReluUncentred
        : throw Unclear($"these tensors may be of an {TopK} or of a {BatchTopK}: {ConfigFile} with trainer.dict_class must lie beside");

    private static CheckpointException Unclear(string message) => new(CheckpointFault.Unsupported, WeightsFile, null, message);

    private static int KOf(StrictJson? trainer, WeightFile weights)
    {
        if (!weights.Has("k"))
            return trainer?.Size(null, "k") ?? throw new CheckpointException(CheckpointFault.Invalid, weights.Path, "k", "the tensor is missing");
        var k = weights.Scalar("k");
        return k is >= 1 and <= int.MaxValue && k == Math.Floor(k) ? (int)k
            : throw new CheckpointException(CheckpointFault.Invalid, weights.Path, "k", $"is {k}, not a whole number above 0");
    }

    private static float? OneThreshold(WeightFile weights)
    {
        var threshold = weights.Scalar("threshold");
        return threshold >= 0 ? (float)threshold : throw new CheckpointException(CheckpointFault.Unsupported, weights.Path, "threshold",
            $"is {threshold}: it was never measured in training, and without it a batch decides over each of its rows");
    }

    private static float[] Read(WeightFile weights, int length)
    {
        var values = new float[length];
        weights.Vector("threshold", values);
        return values;
    }

    /// <summary>Writes weights, and so much of the configuration as tells what they are.</summary>
    /// <exception cref="NotSupportedException">It normalises its inputs.</exception>
    public static void Write(SparseAutoencoder sae, string folder, SaeSource source)
    {
        if (sae.SampleNorm != SampleNorm.None)
            throw new NotSupportedException($"dictionary_learning's classes take activations as they are, and not {Described.Of(sae)}");
        var p = sae.Parameters;
        var kind = sae.Architecture switch
        {
            SaeArchitecture.TopK => TopK,
            SaeArchitecture.JumpRelu => JumpRelu,
            _ => sae.SubtractsDecoderBias ? Relu : ReluUncentred,
        };
        // A JumpReLU leaves b_dec in its input and a TopK takes it off; the encoder's bias makes up for it in one of another kind.
        var asIs = sae.Architecture == SaeArchitecture.Standard || sae.SubtractsDecoderBias == (kind == TopK);
        TensorSource EncoderBias(string name) => asIs ? SaeTensors.Vector(name, p.BEnc, p.DSae) : SaeTensors.Vector(name, Folding.OtherEncoderBias(sae));
        List<TensorSource> tensors = kind == JumpRelu
            ? [SaeTensors.Columns("W_enc", p, p.WEnc), SaeTensors.Rows("W_dec", p, p.WDec), EncoderBias("b_enc"), SaeTensors.Vector("b_dec", p.BDec, p.DIn),
                SaeTensors.Vector("threshold", sae.Thresholds!)]
            : [SaeTensors.Rows("encoder.weight", p, p.WEnc), SaeTensors.Columns("decoder.weight", p, p.WDec), EncoderBias("encoder.bias"),
                SaeTensors.Vector(kind switch { Relu => "bias", ReluUncentred => "decoder.bias", _ => "b_dec" }, p.BDec, p.DIn)];
        if (kind == TopK)
        {
            tensors.Add(TensorSource.Of<int>("k", DType.I32, [], new[] { sae.K }));
            tensors.Add(TensorSource.Of<float>("threshold", DType.F32, [], new[] { sae.Threshold ?? -1 }));
        }
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        SaeTensors.WriteJson(Path.Combine(folder, ConfigFile), json =>
        {
            json.WriteStartObject("trainer");
            json.WriteString("dict_class", kind);
            json.WriteNumber("activation_dim", p.DIn);
            json.WriteNumber("dict_size", p.DSae);
            if (kind == TopK)
                json.WriteNumber("k", sae.K);
            json.WriteString("lm_name", source.ModelName);
            json.WriteString("submodule_name", source.HookName);
            json.WriteEndObject();
        });
    }
}
