using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Information;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// Held-out linear information between a layer's vectors and each task's labels, with its controls; by mode, dimension by dimension and by the slow
/// estimators too. The reference layer, which runs first, also chooses the probes' penalty that all layers share.
/// </summary>
internal static class InformStage
{
    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var reference = StagePlan.ReferenceLayer(context.Layers);
        var corpus = Inputs.Corpus(context);
        var (words, packed) = Inputs.Words(corpus, Inputs.Filters(context), context.Scratch);
        var rules = Inputs.InformationRules(context);
        using var activations = Inputs.Activations(context, layer);
        var gather = Inputs.WordVectors(context, corpus, packed, activations);
        var lambdas = layer == reference
            ? new Dictionary<string, double>()
            : Inputs.ReadJson<Dictionary<string, double>>(context.Published(StageKind.Inform, reference, Artifacts.Lambdas));
        var mode = context.Request.Mode!;
        var tasks = new TaskProbes(words, word => corpus.FirstToken[packed[word + 1]] == corpus.LastToken[packed[word]] + 1, layer, activations.Dim, gather, rules,
            mode, context.Request.Information!.Target == "both", lambdas, choose: layer == reference, context.Interrupted);
        var measured = new List<TaskInformation>();
        var chosenWords = new Dictionary<string, ProbeWords>();
        foreach (var task in words.Tasks)
        {
            var chosen = chosenWords[task.Task] = tasks.Choose(task);
            measured.Add(tasks.Measure(task, chosen, (done, what) => context.Progress((measured.Count + done) / words.Tasks.Count, message: what)));
        }

        List<StoredArtifact> artifacts = [context.Write(Artifacts.Information, stream => Inputs.WriteJson(stream, measured))];
        if (JobModes.SlowEstimators(mode))
            artifacts.Add(context.Write(Artifacts.WordForms, stream => Inputs.WriteJson(stream, tasks.WordForms() is { } forms ? new[] { forms } : [])));
        if (layer == reference)
        {
            artifacts.Add(context.Write(Artifacts.Lambdas, stream => Inputs.WriteJson(stream, lambdas)));
            artifacts.Add(context.Write(Artifacts.Words, stream => WriteWords(stream, corpus, packed, words, chosenWords, context.Scratch)));
        }
        var probes = measured.Select(m => new ProbeRow
        {
            JobId = context.JobId,
            Layer = layer,
            Task = m.Task,
            IvBits = m.Layer.IvBits.Value,
            ControlBits = m.Layer.ControlBits,
            ShuffledBits = m.Layer.ShuffledBits,
            Accuracy = m.Layer.Accuracy,
            MacroF1 = m.Layer.MacroF1,
            InformationJson = System.Text.Json.JsonSerializer.Serialize(m.Layer, Wire.Json),
        }).ToList();
        return new StageOutput(artifacts, (db, ct) => RowCopy.ReplaceAsync(db, context.JobId, layer, probes, ct));
    }

    /// <summary>Every word that was measured, with its labels and the part it had in each task's probe: enough to repeat the measurement elsewhere.</summary>
    private static void WriteWords(Stream stream, PackedCorpus corpus, Column<int> packed, LabelledWords words, Dictionary<string, ProbeWords> chosen, ScratchSpace scratch)
    {
        string[] uses = ["", "train", "dev", "test"];
        var use = words.Tasks.Select(task =>
        {
            var of = scratch.New<byte>(words.Count);
            foreach (var (set, which) in new[] { (chosen[task.Task].Train, 1), (chosen[task.Task].Dev, 2), (chosen[task.Task].Test, 3) })
                foreach (var word in set)
                    of[word] = (byte)which;
            return of;
        }).ToArray();
        using var writer = Csv.Writer(stream);
        writer.WriteLine(Csv.Row(["document", "sentence", "position", "form", "part", .. words.Tasks.SelectMany(t => new[] { t.Task, $"{t.Task}_probe" })]));
        for (var w = 0; w < words.Count; w++)
        {
            var at = packed[w];
            string[] fields =
            [
                corpus.DocumentIds[words.Document[w]], corpus.SentenceIds[words.Sentence[w]], (corpus.WordPosition[at] + 1).ToString(System.Globalization.CultureInfo.InvariantCulture),
                corpus.Forms[corpus.WordForm[at]], words.PartOf(w).ToString().ToLowerInvariant(),
                .. words.Tasks.SelectMany((t, i) => new[] { t.Of[w] < 0 ? "" : t.Names[t.Of[w]], uses[use[i][w]] }),
            ];
            writer.WriteLine(Csv.Row(fields));
        }
    }
}
