using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Interpretation.Conclusions;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;
using SaeService.Queueing;
using SaeService.Storage;
using TorchSharp;

namespace SaeService.Pipeline.Stages;

/// <summary>The layer-functionality document, out of what every layer's stages found.</summary>
internal static class ConcludeStage
{
    private static readonly StageKind[] s_captures = [StageKind.Capture, StageKind.UntrainedCapture, StageKind.PermutedCapture];

    public static StageOutput Run(StageContext context)
    {
        var request = context.Request;
        var inputs = Inputs.Provenance(context);
        var corpus = Inputs.Corpus(context);
        var filters = Inputs.Filters(context);
        var (words, _) = Inputs.Words(corpus, filters, context.Scratch);
        var reference = StagePlan.ReferenceLayer(context.Layers);
        using var db = context.OpenDatabase();
        var spliced = context.Layers.ToDictionary(layer => layer, layer => JobModes.Splices(request.Mode!)
            ? Inputs.ReadJson<SpliceOutcome>(context.Published(StageKind.Control, layer, Artifacts.Splice)) : new(null, null));
        var sae = db.Layers.AsNoTracking().Where(l => l.JobId == context.JobId).OrderBy(l => l.Layer).Select(l => l.SaeJson).ToList()
            .ConvertAll(json => Judged(JsonSerializer.Deserialize<SaeProvenance>(json, Wire.Json)!, spliced));
        var created = db.Jobs.Where(j => j.Id == context.JobId).Select(j => j.CreatedAt).Single();

        var evidence = new Evidence
        {
            Id = context.JobId,
            CreatedUtc = created,
            Provenance = new Provenance
            {
                Model = inputs.Model,
                Data = inputs.Data,
                Sae = sae,
                Settings = request with { Metadata = null, Webhook = null },
                SettingsSha256 = Sha256(JsonSerializer.SerializeToUtf8Bytes(request with { Metadata = null, Webhook = null }, Wire.Json)),
                CorpusSha256 = db.Artifacts.Where(a => a.JobId == context.JobId && a.Stage == StageKind.Prepare && a.Name == Artifacts.Corpus)
                    .OrderByDescending(a => a.Attempt).Select(a => a.Sha256).First(),
                Software = typeof(ConcludeStage).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
                Device = string.Create(CultureInfo.InvariantCulture, $"{context.Worker.Arithmetic}, libtorch {torch.__version__}"),
            },
            Counts = CountsOf(inputs, filters, words),
            Words = words,
            Rules = LabelRules.From(request),
            Layers = [.. context.Layers.Select(layer => new LayerEvidence
            {
                Layer = layer,
                HookPoint = Hooks.NameOf(request.Hook!, layer),
                Autoencoder = Labelling(context, StageKind.Label, layer, Artifacts.Labelling),
                Random = [.. Enumerable.Range(0, JobModes.RandomRepeats(request.Mode!)).Select(i =>
                    Labelling(context, StageKind.Control, layer, Artifacts.RandomLabelling(i)))],
                Shuffled = Labelling(context, StageKind.Control, layer, Artifacts.ShuffledLabelling),
                Information = Inputs.ReadJson<List<TaskInformation>>(context.Published(StageKind.Inform, layer, Artifacts.Information)),
                WordForms = JobModes.SlowEstimators(request.Mode!)
                    ? Inputs.ReadJson<List<ClusterInformation>>(context.Published(StageKind.Inform, layer, Artifacts.WordForms)).FirstOrDefault() : null,
                SeedStability = Seeds.Of(request, inputs.Model.DModel).Length == 0 ? null
                    : Inputs.ReadJson<List<SeedStability>>(context.Published(StageKind.Control, layer, Artifacts.SeedStability)),
                Dictionaries = Dictionaries(context, layer),
                Untrained = Untrained(context, layer),
            })],
            TokenTypes = Labelling(context, StageKind.Control, reference, Artifacts.TokenTypeLabelling),
            Mode = request.Mode!,
            SentencesAsDocuments = inputs.SentencesAsDocuments,
            Caveats = [.. Caveats(inputs), .. spliced.Where(s => s.Value.NotMeasured is not null).GroupBy(s => s.Value.NotMeasured, s => s.Key)
                .Select(reason => $"Layer {string.Join(", ", reason)}: the loss with the autoencoder in place was not measured: {reason.Key}.")],
        };
        var document = Conclusion.Build(evidence);

        var activations = request.KeepActivations == true ? [] : ActivationRows(db, context).Select(a => a.Key).ToList();
        var json = JsonSerializer.SerializeToUtf8Bytes(document, Wire.Json);
        var sha256 = Sha256(json);
        var sums = context.Write(DocumentSums.FileName, stream => Inputs.WriteJson(stream, Sums(evidence.Layers, corpus.DocumentIds)));
        return new StageOutput([sums], async (publishing, ct) =>
        {
            foreach (var layer in document.Layers)
                await RowCopy.ReplaceAsync(publishing, context.JobId, layer.Layer, layer.Cells.Select(cell => new CellRow
                {
                    JobId = context.JobId,
                    Layer = layer.Layer,
                    Task = cell.Task,
                    Label = cell.Label,
                    Status = cell.Status,
                    UnionF1 = cell.UnionF1,
                    Excess = cell.Excess,
                    FeatureCount = cell.FeatureCount,
                    IvBits = cell.IvBits,
                    Normalised = cell.Normalised,
                    Support = cell.Support,
                }), ct);
            await publishing.Jobs.Where(j => j.Id == context.JobId)
                .ExecuteUpdateAsync(set => set.SetProperty(j => j.Document, json).SetProperty(j => j.DocumentSha256, sha256), ct);
            if (request.KeepActivations != true)
                await ActivationRows(publishing, context).ExecuteDeleteAsync(ct);
        }, AfterPublish: () => activations.ForEach(context.Store.Delete));
    }

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>What features and probes counted, by document: for comparisons with other jobs on the same documents.</summary>
    private static DocumentSums Sums(IReadOnlyList<LayerEvidence> layers, string[] documents) => new(
        [.. layers[0].Autoencoder.HeldOutDocuments.Select(d => documents[d])],
        [.. from layer in layers
            from task in layer.Autoencoder.Tasks
            from label in task.Labels
            from union in label.Union is null ? [] : new[] { label.Union }
            select new CellSums(layer.Layer, task.Task, label.Label, union.TruePositives, union.FalsePositives, union.FalseNegatives)],
        [.. (layers[0].Information.FirstOrDefault()?.Documents ?? []).Select(d => documents[d])],
        [.. from layer in layers
            from task in layer.Information
            select new InformationSums(layer.Layer, task.Task, task.Words, [.. task.MarginalBits.Zip(task.LayerBits, (marginal, bits) => marginal - bits)])]);

    /// <summary>Faithful is an autoencoder whose reconstructions the model itself can use (method 5).</summary>
    private static SaeProvenance Judged(SaeProvenance sae, Dictionary<int, SpliceOutcome> spliced)
    {
        const double FaithfulRecovery = 0.9;
        var loss = spliced[sae.Layer].Loss;
        return sae with { Splice = loss, Gate = loss?.CeLossRecovered < FaithfulRecovery ? "unfaithful" : sae.Gate };
    }

    /// <summary>The captured vectors: the bulk of a job's disk, and of no more use once it has ended.</summary>
    private static IQueryable<ArtifactRow> ActivationRows(SaeDbContext db, StageContext context) =>
        db.Artifacts.Where(a => a.JobId == context.JobId && s_captures.Contains(a.Stage) && a.Name != Artifacts.Filters);

    private static List<ComparedDictionary> Dictionaries(StageContext context, int layer) => !JobModes.Comparisons(context.Request.Mode!) ? []
        : Inputs.ReadJson<List<MadeDictionary>>(context.Published(StageKind.Dictionaries, layer, Artifacts.Dictionaries))
            .ConvertAll(d => new ComparedDictionary(d, Labelling(context, StageKind.Dictionaries, layer, Artifacts.DictionaryLabelling(d.Name, d.Matched))));

    private static List<UntrainedEvidence> Untrained(StageContext context, int layer)
    {
        var models = new List<UntrainedEvidence>();
        if (JobModes.Untrained(context.Request.Mode!))
            Add(DictionaryNames.UntrainedModel, StageKind.Untrained);
        if (JobModes.Permuted(context.Request.Mode!, context.Request.Hook!, layer))
            Add(DictionaryNames.PermutedModel, StageKind.Permuted);
        return models;

        void Add(string name, StageKind stage) => models.Add(new(name, Labelling(context, stage, layer, Artifacts.Labelling),
            Inputs.ReadJson<List<TaskInformation>>(context.Published(stage, layer, Artifacts.Information)),
            Inputs.ReadJson<UntrainedQuality>(context.Published(stage, layer, Artifacts.Quality))));
    }

    private static LayerLabelling Labelling(StageContext context, StageKind stage, int layer, string name)
    {
        using var stream = File.OpenRead(context.Published(stage, layer, name));
        return LayerLabelling.Read(stream);
    }

    private static Counts CountsOf(PreparedInputs inputs, NormFilters filters, Interpretation.LabelledWords words)
    {
        var packed = inputs.Counts;
        var parts = new int[3];
        for (var w = 0; w < words.Count; w++)
            parts[(int)words.PartOf(w)]++;
        return new Counts
        {
            Documents = packed.Documents,
            Sentences = packed.Sentences,
            Words = packed.Words,
            Tokens = packed.Tokens,
            Aligned = packed.Aligned,
            AmbiguousDropped = packed.AmbiguousDropped,
            UnalignedDropped = packed.UnalignedDropped,
            MultiwordDropped = packed.MultiwordDropped,
            TruncatedDropped = packed.TruncatedDropped,
            TooManyPiecesDropped = packed.TooManyPiecesDropped,
            FirstPositionDropped = packed.FirstPositionDropped,
            NormFiltered = filters.WordsDropped,
            Split = new SortedDictionary<string, int>(StringComparer.Ordinal) { ["train"] = parts[0], ["dev"] = parts[1], ["test"] = parts[2] },
            PerLabel = words.Tasks.ToDictionary(t => t.Task, t =>
            {
                var counts = new int[t.Names.Length];
                foreach (var label in t.Of)
                    if (label >= 0)
                        counts[label]++;
                return (IReadOnlyDictionary<string, int>)t.Names.Select((name, y) => (name, counts[y])).ToDictionary(x => x.name, x => x.Item2);
            }),
        };
    }

    private static List<string> Caveats(PreparedInputs inputs)
    {
        var caveats = new List<string>();
        if (inputs.Counts.StoppedAtMaxWords)
            caveats.Add($"only the first {inputs.Counts.Words} words of the data set were read (dataset.max_words)");
        if (inputs.Data.Text != "original")
            caveats.Add($"the text the model read was joined from words ({inputs.Data.Text}): it may not look like the text it was trained on");
        return caveats;
    }
}
