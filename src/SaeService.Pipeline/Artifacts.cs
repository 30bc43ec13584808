namespace SaeService.Pipeline;

/// <summary>Names of the files that stages hand to each other. One place, so that a writer and its readers can not part.</summary>
public static class Artifacts
{
    /// <summary>prepare: the packed, aligned and split corpus.</summary>
    public const string Corpus = "corpus.bin";

    /// <summary>prepare: which document is in which part, as it is exported.</summary>
    public const string Split = "split.json";

    /// <summary>prepare: every word that is not in the corpus, with its reason, as it is exported.</summary>
    public const string Alignment = "alignment.csv";

    /// <summary>prepare: hashes of everything that went in.</summary>
    public const string Provenance = "provenance.json";

    /// <summary>capture: float32 [tokens, d] of a layer.</summary>
    public static string Activations(int layer) => $"layer-{layer}.f32";

    /// <summary>capture: which tokens of a layer pass the norm filter, and which words pass it at every layer.</summary>
    public const string Filters = "filters.safetensors";

    /// <summary>train: the autoencoder in SAELens layout.</summary>
    public const string SaeConfig = "cfg.json";
    public const string SaeWeights = "sae_weights.safetensors";

    /// <summary>Either of the two, of variant 1, 2 and so on.</summary>
    public static string OfVariant(string name, int variant) => variant == 0 ? name : $"variant-{variant}.{name}";

    /// <summary>encode: sparse codes of the words.</summary>
    public const string Codes = "codes.bin";

    /// <summary>label, control: what the conclusion needs of a dictionary.</summary>
    public const string Labelling = "labelling.json";
    public static string RandomLabelling(int repeat) => $"random-{repeat}.json";
    public const string TokenTypeLabelling = "token-types.json";
    public const string ShuffledLabelling = "shuffled.json";

    /// <summary>dictionaries: which were made, and how each of them was labelled.</summary>
    public const string Dictionaries = "dictionaries.json";
    public static string DictionaryLabelling(string name, string matched) => $"{name}-{matched}.json";

    /// <summary>untrained, permuted: how faithful their autoencoder is.</summary>
    public const string Quality = "quality.json";

    /// <summary>control: how the features of other seeds' autoencoders match the layer's.</summary>
    public const string SeedStability = "seed-stability.json";

    /// <summary>control: the model's loss with the autoencoder in place.</summary>
    public const string Splice = "splice.json";

    /// <summary>inform: information of every task.</summary>
    public const string Information = "information.json";

    /// <summary>inform, mode thorough: clusters of the vectors against word forms.</summary>
    public const string WordForms = "word-forms.json";

    /// <summary>inform, reference layer only: the probes' penalty by task.</summary>
    public const string Lambdas = "lambdas.json";

    /// <summary>inform, reference layer only: every word with its part and its use by the probes, as it is exported.</summary>
    public const string Words = "words.csv";
}
