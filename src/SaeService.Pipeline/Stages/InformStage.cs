using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Information;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// Held-out linear information between a layer's vectors and each task's labels, with its controls. The reference layer, which runs first, also
/// chooses the probes' penalty that all layers share.
/// </summary>
internal static class InformStage
{
    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var reference = StagePlan.ReferenceLayer(context.Layers);
        var corpus = Inputs.Corpus(context);
        var (words, packed) = Inputs.Words(corpus, Inputs.Filters(context));
        var rules = Inputs.InformationRules(context);
        using var activations = Inputs.Activations(context, layer);
        var gather = Inputs.WordVectors(context, corpus, packed, activations);
        var lambdas = layer == reference
            ? new Dictionary<string, double>()
            : Inputs.ReadJson<Dictionary<string, double>>(context.Published(StageKind.Inform, reference, Artifacts.Lambdas));
        var measured = new List<TaskInformation>();
        var chosenWords = new Dictionary<string, ProbeWords>();
        for (var i = 0; i < words.Tasks.Count; i++)
        {
            var task = words.Tasks[i];
            context.Progress((double)i / words.Tasks.Count, message: task.Task);
            var chosen = chosenWords[task.Task] = ProbeWords.Choose(words, task, rules.MaxTrainWords, rules.Seed);
            if (layer == reference)
                lambdas[task.Task] = VInformation.ChooseLambda(words, task, chosen, activations.Dim, gather, rules, context.Interrupted).Lambda;
            context.Progress((i + 0.3) / words.Tasks.Count, message: task.Task);
            var given = task.Task == "dep" ? words.Tasks.FirstOrDefault(t => t.Task == "pos") : null;
            measured.Add(VInformation.Measure(words, task, chosen, layer, activations.Dim, gather, lambdas[task.Task], rules, given, context.Interrupted));
        }

        List<StoredArtifact> artifacts = [context.Write(Artifacts.Information, stream => Inputs.WriteJson(stream, measured))];
        if (layer == reference)
        {
            artifacts.Add(context.Write(Artifacts.Lambdas, stream => Inputs.WriteJson(stream, lambdas)));
            artifacts.Add(context.Write(Artifacts.Words, stream => WriteWords(stream, corpus, packed, words, chosenWords)));
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
    private static void WriteWords(Stream stream, PackedCorpus corpus, int[] packed, LabelledWords words, Dictionary<string, ProbeWords> chosen)
    {
        var use = words.Tasks.Select(task =>
        {
            var of = new string[words.Count];
            foreach (var (set, name) in new[] { (chosen[task.Task].Train, "train"), (chosen[task.Task].Dev, "dev"), (chosen[task.Task].Test, "test") })
                foreach (var word in set)
                    of[word] = name;
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
                .. words.Tasks.SelectMany((t, i) => new[] { t.Of[w] < 0 ? "" : t.Names[t.Of[w]], use[i][w] ?? "" }),
            ];
            writer.WriteLine(Csv.Row(fields));
        }
    }
}
