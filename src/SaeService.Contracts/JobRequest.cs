using System.Text.Json;
using System.Text.Json.Serialization;

namespace SaeService.Contracts;

/// <summary>
/// What a client asks for. Only <see cref="Model"/> and <see cref="Dataset"/> are needed; every other member has a default, and the job
/// echoes the request with all of them resolved.
/// </summary>
public sealed record JobRequest
{
    public required ModelReference Model { get; init; }
    public required DatasetReference Dataset { get; init; }

    /// <summary>
    /// Label tasks: <c>pos</c> (UPOS), <c>dep</c> (basic dependency relation), <c>ner</c> (entity type), or any other that the data set's
    /// <see cref="Dataset.Tasks"/> and <see cref="Dataset.FurtherTasks"/> name. Absent: those of the three that it has, else all of its tasks.
    /// </summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary><c>"all"</c> or a list. Layer 0 is the embedding; layer l is the residual stream after block l - 1.</summary>
    public LayerSelection? Layers { get; init; }

    /// <summary>Where in a block the representation is taken: <c>resid_post</c> (default), <c>resid_pre</c>, <c>resid_mid</c>, <c>attn_out</c>, <c>mlp_out</c>.</summary>
    public string? Hook { get; init; }

    /// <summary>Tokens in a context, special tokens included. Absent: the model's own limit, at most 512.</summary>
    public int? ContextLength { get; init; }

    public SaeSettings? Sae { get; init; }
    public LabelSettings? Labels { get; init; }
    public InformationSettings? Information { get; init; }

    /// <summary>
    /// How much is run to be compared with: <c>quick</c>, <c>standard</c> (default), <c>full</c> (an untrained model too, which a claim that the model learnt
    /// something needs, and PCA, ICA, neurons and untrained autoencoders) or <c>thorough</c> (nothing left out). What a mode leaves out is named in the
    /// document's caveats.
    /// </summary>
    public string? Mode { get; init; }

    /// <summary>Seed of the split, the sub-samples, the controls and the bootstrap. The autoencoders have their own, in <c>sae.seed</c>.</summary>
    public int? Seed { get; init; }

    /// <summary>Keeps the captured activations after the job ends. Default false.</summary>
    public bool? KeepActivations { get; init; }

    /// <summary>Anything the client wants back with the job: at most 16 entries, 512 characters each.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Where to POST when the job ends.</summary>
    public WebhookReference? Webhook { get; init; }
}

/// <param name="Id">A name under one of the operator's model folders, the path of a folder inside one of them, or, where the operator allows it, an id of the hub.</param>
/// <param name="Revision">Of a model of the hub a branch, a tag or a commit; the job has the commit. A local folder has none; its files' hashes are recorded instead.</param>
public sealed record ModelReference(string Id, string? Revision = null);

/// <param name="Id">
/// An uploaded data set, a name under one of the operator's data folders, or a path inside one of them; where the operator allows it, a name of the
/// catalogue, a treebank (<c>ud:German-GSD</c>), or a data set of the hub (<c>owner/name</c>, <c>owner/name:config</c>).
/// </param>
/// <param name="Split">Which of its parts, joined by <c>+</c>: <c>train</c>, <c>dev+test</c>. Absent: all of them.</param>
/// <param name="MaxWords">Stops after the sentence that reaches this many words. Default 200 000.</param>
/// <param name="ExtraText">Another data set, plain text for one, whose text the autoencoders are trained on too; its labels are not read. An upload, or one of the operator's.</param>
/// <param name="ExtraTokens">Most tokens of it. Default 200 000.</param>
/// <param name="Revision">Of what is fetched: a branch, tag, release or commit; the job has the commit. Uploads and folders have none.</param>
public sealed record DatasetReference(string Id, string? Split = null, int? MaxWords = null, string? ExtraText = null, int? ExtraTokens = null, string? Revision = null);

/// <param name="Url">An https address on the public Internet, at most 2000 characters, without user name.</param>
/// <param name="Secret">Signs the deliveries (Standard Webhooks): <c>whsec_</c> and 24 to 64 bytes in base64; absent: unsigned. No answer repeats it.</param>
public sealed record WebhookReference(string Url, string? Secret = null);

/// <summary>
/// The sparse autoencoder of each layer: how it is trained, or, by <see cref="Path"/> or <see cref="Id"/>, one that is trained already. What says how to train
/// can not be given with those. Read are the layouts of SAELens, sparsify, dictionary_learning and OpenAI, from safetensors.
/// </summary>
public sealed record SaeSettings
{
    /// <summary>
    /// A folder with a trained autoencoder: a name under one of the operator's model folders, or a path inside one. <c>{layer}</c> in it stands for the layer's
    /// number as in <see cref="JobRequest.Layers"/>, <c>{block}</c> for that of the block it comes out of, one less: <c>gpt2-saes/layers.{block}</c>.
    /// </summary>
    public string? Path { get; init; }

    /// <summary>A repository of the hub with trained autoencoders, where the operator allows it.</summary>
    public string? Id { get; init; }

    /// <summary>Of <see cref="Id"/>: a branch, a tag or a commit; the job has the commit. Default main.</summary>
    public string? Revision { get; init; }

    /// <summary>Of <see cref="Id"/>: the folder in it, with <c>{layer}</c> or <c>{block}</c> as in <see cref="Path"/>. Default its root.</summary>
    public string? Folder { get; init; }

    /// <summary>
    /// <c>topk</c> (default): k latents on each token. <c>batchtopk</c>: k on average, the largest of a batch (Bussmann et al. 2024); in use, and as it is
    /// exported, a JumpReLU. <c>matryoshka_batchtopk</c>: the same, and nested prefixes of the latents each reconstruct (Bussmann et al. 2025).
    /// </summary>
    public string? Architecture { get; init; }

    /// <summary>Of <c>matryoshka_batchtopk</c>: widths of the prefixes, ascending, the last d_sae. Default 1, 3, 7, 15 and 32 parts in 32 of d_sae.</summary>
    public IReadOnlyList<int>? MatryoshkaWidths { get; init; }

    /// <summary>d_sae / d_in. Default 8. Give this or <see cref="DSae"/>.</summary>
    public int? Expansion { get; init; }

    /// <summary>Number of latents. Default <see cref="Expansion"/> x d_in.</summary>
    public int? DSae { get; init; }

    /// <summary>Latents active on a token. Default d_in / 16, at least 8 and at most 32: a narrow layer has room for fewer.</summary>
    public int? K { get; init; }

    public const long DefaultTrainTokens = 2_000_000;
    public const int DefaultBatchTokens = 2048;

    /// <summary>Tokens seen in training, epochs counted. Default 2 000 000.</summary>
    public long? TrainTokens { get; init; }

    /// <summary>Tokens in a training step. Default 2048.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Peak learning rate. Absent: 2e-4 / sqrt(d_sae / 2^14), raised for short runs by sqrt(10^5 / steps), at most tenfold and to 8e-3.</summary>
    public double? LearningRate { get; init; }

    public int? Seed { get; init; }

    /// <summary>
    /// More autoencoders of each layer, trained in the same pass over its activations: other seeds, k, widths or architectures. Features, labels and cells are
    /// of the first; of these the quality is in <c>provenance.sae[].variants</c> and the weights at <c>/layers/{layer}/sae?variant=1</c>. At most 15.
    /// </summary>
    public IReadOnlyList<SaeVariant>? Variants { get; init; }

    /// <summary>Whether they were trained elsewhere.</summary>
    [JsonIgnore]
    public bool ArePretrained => Path is not null || Id is not null;
}

/// <summary>What an autoencoder of <see cref="SaeSettings.Variants"/> has of its own; everything else is as <see cref="SaeSettings"/> say.</summary>
public sealed record SaeVariant
{
    public string? Architecture { get; init; }
    public IReadOnlyList<int>? MatryoshkaWidths { get; init; }
    public int? Expansion { get; init; }
    public int? DSae { get; init; }
    public int? K { get; init; }
    public double? LearningRate { get; init; }

    /// <summary>Of the initial directions; the order of the tokens is that of the pass.</summary>
    public int? Seed { get; init; }
}

/// <summary>When a feature counts as highly consistent (method 1b).</summary>
public sealed record LabelSettings
{
    /// <summary>Held-out words the feature must fire on. Default 30.</summary>
    public int? MinSupport { get; init; }

    /// <summary>Held-out sentences these words must come from. Default 10.</summary>
    public int? MinSentences { get; init; }

    /// <summary>Benjamini-Hochberg level, per layer and task. Default 0.05.</summary>
    public double? Fdr { get; init; }

    /// <summary>Least Wilson lower bound of the held-out precision. Default 0.8.</summary>
    public double? ConsistencyLower { get; init; }

    /// <summary>Least kappa, (precision - base rate) / (1 - base rate). Default 0.7.</summary>
    public double? Kappa { get; init; }

    /// <summary>Most difference of precision between train and held-out documents. Default 0.1.</summary>
    public double? MaxDrop { get; init; }

    /// <summary>
    /// When a feature fires: <c>threshold</c> (default: above an activation chosen on train documents, since low activations mean many things) or
    /// <c>positive</c> (any activation above 0). Controls are treated alike.
    /// </summary>
    public string? Firing { get; init; }

    /// <summary>How the pieces of a word are joined for features: <c>max</c> (default) or <c>last</c>.</summary>
    public string? SubwordPolicy { get; init; }
}

/// <summary>The held-out linear V-information between hidden representation and labels (method 1d).</summary>
public sealed record InformationSettings
{
    /// <summary>Words the probes are trained on, the same for every layer. Default 20 000.</summary>
    public int? MaxTrainWords { get; init; }

    /// <summary>Piece of the word whose vector is read: <c>last</c> (default) or <c>first</c>.</summary>
    public string? SubwordPolicy { get; init; }

    /// <summary>
    /// Whose label is asked of a word's vector: <c>current</c> (default), the word's own; <c>both</c>, the next word's as well, in curves beside the first, which
    /// shows what a causal model's last layers are about. Findings rest on the word's own.
    /// </summary>
    public string? Target { get; init; }

    /// <summary>Document-bootstrap resamples of every interval. Default 1000.</summary>
    public int? BootstrapSamples { get; init; }
}

/// <summary><c>"all"</c>, or layer numbers.</summary>
public sealed record LayerSelection(IReadOnlyList<int>? Layers)
{
    public static LayerSelection All { get; } = new((IReadOnlyList<int>?)null);
    public bool IsAll => Layers is null;
}

public sealed class LayerSelectionConverter : JsonConverter<LayerSelection>
{
    public override LayerSelection? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String when reader.GetString() == "all":
                return LayerSelection.All;
            case JsonTokenType.StartArray:
                var layers = new List<int>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var layer))
                        throw new JsonException("a layer must be a whole number");
                    layers.Add(layer);
                    if (layers.Count > 10_000)
                        throw new JsonException("too many layers");
                }
                return new LayerSelection(layers);
            default:
                throw new JsonException("layers must be \"all\" or a list of layer numbers");
        }
    }

    public override void Write(Utf8JsonWriter writer, LayerSelection value, JsonSerializerOptions options)
    {
        if (value.Layers is null)
        {
            writer.WriteStringValue("all");
            return;
        }
        writer.WriteStartArray();
        foreach (var layer in value.Layers)
            writer.WriteNumberValue(layer);
        writer.WriteEndArray();
    }
}
