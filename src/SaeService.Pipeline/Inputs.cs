using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Information;

namespace SaeService.Pipeline;

/// <summary>What stages read of what earlier ones published.</summary>
internal static class Inputs
{
    /// <summary>Labels that say "nothing of the kind": in the information, never a feature's label (method 1b).</summary>
    private static readonly string[] s_excludedLabels = ["O", "_", "X"];

    public static PreparedInputs Provenance(StageContext context) => ReadJson<PreparedInputs>(context.Published(StageKind.Prepare, null, Artifacts.Provenance));

    public static PackedCorpus Corpus(StageContext context) => PackedCorpus.Load(context.Published(StageKind.Prepare, null, Artifacts.Corpus), context.Scratch);

    /// <param name="capture">Of which model.</param>
    public static NormFilters Filters(StageContext context, StageKind capture = StageKind.Capture) =>
        NormFilters.Load(context.Published(capture, null, Artifacts.Filters), context.Scratch);

    /// <inheritdoc cref="Filters"/>
    public static ActivationFile Activations(StageContext context, int layer, StageKind capture = StageKind.Capture) =>
        ActivationFile.Open(context.Published(capture, null, Artifacts.Activations(layer)), Provenance(context).Model.DModel);

    public static SparseCodes Codes(StageContext context, int layer) => SparseCodes.Load(context.Published(StageKind.Encode, layer, Artifacts.Codes), context.Scratch);

    /// <summary>A layer's trained autoencoder.</summary>
    /// <param name="variant">0: the layer's own.</param>
    public static SparseAutoencoder Autoencoder(StageContext context, int layer, int variant = 0) =>
        Autoencoder(name => context.Published(StageKind.Train, layer, Artifacts.OfVariant(name, variant)), context.Worker.Threads);

    /// <summary>An autoencoder as train wrote it: its two files lie under keys of their own and are read as the one folder they are.</summary>
    /// <param name="published">Local path of each of the two by its name.</param>
    public static SparseAutoencoder Autoencoder(Func<string, string> published, int threads)
    {
        using var folder = new TemporaryFolder();
        foreach (var name in new[] { Artifacts.SaeConfig, Artifacts.SaeWeights })
            File.CreateSymbolicLink(Path.Combine(folder.Path, name), published(name));
        return SaeFolder.LoadSaeLens(folder.Path, threads);
    }

    /// <summary>The words that every stage from encode on is about, and the place of each in the packed corpus.</summary>
    /// <param name="scratch">Where they lie; default: in memory.</param>
    public static (LabelledWords Words, Column<int> Packed) Words(PackedCorpus corpus, NormFilters filters, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        var list = new ColumnList<int>(scratch);
        for (var w = 0; w < corpus.Words; w++)
            if (filters.KeepsWord(w))
                list.Add(w);
        var kept = list.Complete();
        var tasks = corpus.Tasks.Select(task => new Interpretation.TaskLabels(
            task.Name,
            task.Labels,
            Kept(w => task.LabelOfWord[w]),
            Enumerable.Range(0, task.Labels.Length).Where(y => s_excludedLabels.Contains(task.Labels[y])).ToHashSet())).ToArray();
        return (new LabelledWords(
            Kept(corpus.DocumentOf),
            Kept(w => corpus.WordSentence[w]),
            Kept(w => corpus.WordType[w]),
            Array.ConvertAll(corpus.DocumentPart, part => (Interpretation.Part)part),
            tasks), kept);

        Column<int> Kept(Func<int, int> of) => scratch.New(kept.Length, i => of(kept[i]));
    }

    /// <summary>What probes see of a word: the vector of its last token, or its first where the request says so.</summary>
    /// <param name="packed">Places of the words in the corpus.</param>
    public static GatherVectors WordVectors(StageContext context, PackedCorpus corpus, Column<int> packed, ActivationFile activations)
    {
        var tokens = context.Request.Information!.SubwordPolicy == "first" ? corpus.FirstToken : corpus.LastToken;
        return (chosen, into) =>
        {
            var rows = new int[chosen.Length];
            for (var i = 0; i < rows.Length; i++)
                rows[i] = tokens[packed[chosen[i]]];
            activations.Gather(rows, into);
        };
    }

    public static InformationRules InformationRules(StageContext context) => new()
    {
        MaxTrainWords = context.Request.Information!.MaxTrainWords!.Value,
        BootstrapSamples = context.Request.Information.BootstrapSamples!.Value,
        Seed = context.Request.Seed!.Value,
        Threads = context.Worker.Threads,
        Scratch = context.Scratch,
    };

    public static T ReadJson<T>(string path)
    {
        using var stream = File.OpenRead(path);
        return JsonSerializer.Deserialize<T>(stream, Wire.Json) ?? throw new InvalidDataException($"{Path.GetFileName(path)} holds null");
    }

    public static void WriteJson<T>(Stream stream, T value) => JsonSerializer.Serialize(stream, value, Wire.Json);
}
