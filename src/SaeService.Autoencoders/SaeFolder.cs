using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders;

/// <summary>Where an autoencoder's activations come from, for those who load it elsewhere.</summary>
/// <param name="ModelName">Name of the language model.</param>
/// <param name="HookName">The place in it, in TransformerLens' words: <c>blocks.3.hook_resid_post</c>.</param>
/// <param name="DatasetPath">What the model was run on.</param>
/// <param name="ContextSize">Tokens in a context.</param>
/// <param name="PrependBos">Whether a context began with the model's BOS token.</param>
public sealed record SaeSource(string ModelName, string HookName, string DatasetPath, int ContextSize, bool PrependBos);

/// <summary>
/// Autoencoders on disk as two other projects lay them out. SAELens: <c>cfg.json</c> and <c>sae_weights.safetensors</c> with W_enc [d_in, d_sae],
/// W_dec [d_sae, d_in], no scale and no norm left to apply. sparsify: <c>cfg.json</c> and <c>sae.safetensors</c> with encoder.weight [d_sae, d_in].
/// </summary>
public static class SaeFolder
{
    public const string ConfigFile = "cfg.json", SaeLensWeights = "sae_weights.safetensors", SparsifyWeights = "sae.safetensors";

    // The release whose loader these files were checked against; its loader insists on a version it can parse.
    private const string SaeLensVersion = "6.18.0";
    private const string OwnSection = "sae_service";
    private static readonly JsonWriterOptions Json = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes both files in the SAELens layout. Scale and threshold go into a section of our own, which SAELens passes over.</summary>
    public static void SaveSaeLens(TopKAutoencoder sae, string folder, SaeSource source, double? l0 = null, int? deadLatents = null)
    {
        Directory.CreateDirectory(folder);
        var p = sae.Parameters;
        SafetensorsWriter.Write(Path.Combine(folder, SaeLensWeights),
        [
            new("W_enc", DType.F32, [p.DIn, p.DSae], stream => WriteTransposed(stream, p)),
            RowsOf("W_dec", p, p.WDec),
            VectorOf("b_enc", p.BEnc, p.DSae),
            VectorOf("b_dec", p.BDec, p.DIn),
        ], new Dictionary<string, string> { ["format"] = "pt" });
        WriteConfig(folder, json =>
        {
            json.WriteString("architecture", "topk");
            json.WriteNumber("d_in", p.DIn);
            json.WriteNumber("d_sae", p.DSae);
            json.WriteNumber("k", sae.K);
            json.WriteString("dtype", "float32");
            json.WriteString("device", "cpu");
            json.WriteBoolean("apply_b_dec_to_input", true);
            json.WriteString("normalize_activations", "none");
            json.WriteString("reshape_activations", "none");
            json.WriteBoolean("rescale_acts_by_decoder_norm", false);
            json.WriteStartObject("metadata");
            json.WriteString("sae_lens_version", SaeLensVersion);
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
            json.WriteString("training_architecture", "topk");
            json.WriteStartObject("training_architecture_details");
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteStartObject(OwnSection);
            json.WriteNumber("input_scale", sae.InputScale);
            if (sae.Threshold is { } threshold)
                json.WriteNumber("threshold", threshold);
            json.WriteEndObject();
        });
    }

    /// <summary>Writes both files in the layout of sparsify 1.3.</summary>
    public static void SaveSparsify(TopKAutoencoder sae, string folder)
    {
        Directory.CreateDirectory(folder);
        var p = sae.Parameters;
        SafetensorsWriter.Write(Path.Combine(folder, SparsifyWeights),
            [RowsOf("encoder.weight", p, p.WEnc), VectorOf("encoder.bias", p.BEnc, p.DSae), RowsOf("W_dec", p, p.WDec), VectorOf("b_dec", p.BDec, p.DIn)]);
        WriteConfig(folder, json =>
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

    /// <summary>Reads a TopK autoencoder in the SAELens layout (its versions 4 to 6).</summary>
    /// <exception cref="InvalidDataException">A key or tensor is missing, wrong, or asks for something that would change the result.</exception>
    public static TopKAutoencoder LoadSaeLens(string folder, int? threads = null)
    {
        var config = Path.Combine(folder, ConfigFile);
        using var document = Parse(config);
        var root = document.RootElement;
        var architecture = Text(root, "architecture") ?? throw new InvalidDataException($"{config} has no 'architecture'");
        if (architecture != "topk")
            throw new InvalidDataException($"{config}: architecture is '{architecture}'; only 'topk' is read");
        var k = root.TryGetProperty("k", out _) ? Number(root, "k", config)
            : root.TryGetProperty("activation_fn_kwargs", out var arguments) ? Number(arguments, "k", config)
            : throw new InvalidDataException($"{config} has no 'k'");
        var (dIn, dSae) = (Number(root, "d_in", config), Number(root, "d_sae", config));
        if (Text(root, "normalize_activations") is not (null or "none"))
            throw new InvalidDataException($"{config}: normalize_activations is '{Text(root, "normalize_activations")}', not 'none'");
        if (root.TryGetProperty("apply_b_dec_to_input", out var apply) && apply.ValueKind != JsonValueKind.True)
            throw new InvalidDataException($"{config}: apply_b_dec_to_input must be true");
        if (root.TryGetProperty("finetuning_scaling_factor", out var tuned) && tuned.ValueKind == JsonValueKind.True)
            throw new InvalidDataException($"{config}: finetuning_scaling_factor is not supported");
        // The same limits as for training; they also keep every buffer within one array.
        new TopKSettings(dIn, dSae, k, BatchTokens: 1).Validate();

        using var file = SafetensorsFile.Open(Path.Combine(folder, SaeLensWeights));
        var p = new TopKParameters(dIn, dSae);
        var encoder = Floats(file, "W_enc", dIn, dSae);
        for (var f = 0; f < dSae; f++)
            for (var j = 0; j < dIn; j++)
                p.WEnc.Slice((long)f * p.Stride, dIn)[j] = encoder[j * dSae + f];
        var decoder = Floats(file, "W_dec", dSae, dIn);
        for (var f = 0; f < dSae; f++)
            decoder.Slice(f * dIn, dIn).CopyTo(p.WDec.Slice((long)f * p.Stride, dIn));
        Floats(file, "b_enc", dSae).CopyTo(p.BEnc.Span);
        Floats(file, "b_dec", dIn).CopyTo(p.BDec.Span);
        foreach (var (name, _, _, values) in p.Tensors)
            foreach (var value in values.Span)
                if (!float.IsFinite(value))
                    throw new InvalidDataException($"{file.Path}: tensor '{name}' holds {value}");
        if (root.TryGetProperty("rescale_acts_by_decoder_norm", out var rescale) && rescale.ValueKind == JsonValueKind.True)
            FoldDecoderNorms(p);

        var (scale, threshold) = (1f, (float?)null);
        if (root.TryGetProperty(OwnSection, out var own) && own.ValueKind == JsonValueKind.Object)
        {
            scale = own.TryGetProperty("input_scale", out var s) && s.TryGetSingle(out var sValue) ? sValue : 1;
            threshold = own.TryGetProperty("threshold", out var t) && t.TryGetSingle(out var tValue) ? tValue : null;
        }
        return new(p, k, scale, threshold, new Lanes(threads));
    }

    /// <summary>Such files rank latents by value times ‖W_dec row‖: with rows of length 1 and the norm in the encoder that is the value itself.</summary>
    private static void FoldDecoderNorms(TopKParameters p)
    {
        for (var f = 0; f < p.DSae; f++)
        {
            var enc = p.WEnc.Slice((long)f * p.Stride, p.DIn);
            var dec = p.WDec.Slice((long)f * p.Stride, p.DIn);
            var norm = Norm(dec);
            if (norm == 0)
                continue;
            for (var j = 0; j < p.DIn; j++)
                (enc[j], dec[j]) = (enc[j] * norm, dec[j] / norm);
            p.BEnc.Span[f] *= norm;
        }
    }

    private static float Norm(ReadOnlySpan<float> row)
    {
        var sum = 0.0;
        foreach (var value in row)
            sum += (double)value * value;
        return (float)Math.Sqrt(sum);
    }

    private static TensorSource RowsOf(string name, TopKParameters p, AlignedBuffer<float> values) => new(name, DType.F32, [p.DSae, p.DIn], stream =>
    {
        for (var f = 0; f < p.DSae; f++)
            stream.Write(MemoryMarshal.AsBytes(values.Slice((long)f * p.Stride, p.DIn)));
    });

    private static TensorSource VectorOf(string name, AlignedBuffer<float> values, int length) =>
        new(name, DType.F32, [length], stream => stream.Write(MemoryMarshal.AsBytes(values.Slice(0, length))));

    private static void WriteTransposed(Stream stream, TopKParameters p)
    {
        var column = new float[p.DSae];
        for (var j = 0; j < p.DIn; j++)
        {
            for (var f = 0; f < p.DSae; f++)
                column[f] = p.WEnc.Slice((long)f * p.Stride, p.DIn)[j];
            stream.Write(MemoryMarshal.AsBytes<float>(column));
        }
    }

    private static void WriteConfig(string folder, Action<Utf8JsonWriter> members)
    {
        var (path, temporary) = (Path.Combine(folder, ConfigFile), Path.Combine(folder, $"{ConfigFile}.{Guid.NewGuid():N}.tmp"));
        using (var stream = new FileStream(temporary, FileMode.CreateNew))
        {
            using (var json = new Utf8JsonWriter(stream, Json))
            {
                json.WriteStartObject();
                members(json);
                json.WriteEndObject();
            }
            stream.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }

    private static JsonDocument Parse(string path)
    {
        const int MostBytes = 1 << 20;
        try
        {
            if (new FileInfo(path).Length > MostBytes)
                throw new InvalidDataException($"{path} is longer than {MostBytes} bytes: no configuration");
            var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.ValueKind == JsonValueKind.Object ? document : throw new InvalidDataException($"{path} is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not JSON: {e.Message}", e);
        }
    }

    private static string? Text(JsonElement owner, string key) =>
        owner.TryGetProperty(key, out var value) ? value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText() : null;

    private static int Number(JsonElement owner, string key, string path) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty(key, out var value)
            && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n)
            ? n
            : throw new InvalidDataException($"{path}: '{key}' must be a whole number");

    private static ReadOnlySpan<float> Floats(SafetensorsFile file, string name, params long[] shape)
    {
        if (!file.Tensors.TryGetValue(name, out var entry))
            throw new InvalidDataException($"{file.Path} has no tensor '{name}'");
        if (entry.DType != DType.F32 || !entry.Shape.AsSpan().SequenceEqual(shape))
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"{file.Path}: tensor '{name}' is {entry.DType} {entry.ShapeText}, expected F32 {TensorEntry.TextOf(shape)}"));
        return MemoryMarshal.Cast<byte, float>(file.Bytes(name));
    }
}
