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
        var (words, packed) = Inputs.Words(corpus, Inputs.Filters(context));
        var rules = Inputs.InformationRules(context);
        using var activations = Inputs.Activations(context, layer);
        var tokens = Array.ConvertAll(packed, w => context.Request.Information!.SubwordPolicy == "first" ? corpus.FirstToken[w] : corpus.LastToken[w]);
        void Gather(ReadOnlySpan<int> chosen, Span<float> into)
        {
            var rows = new int[chosen.Length];
            for (var i = 0; i < rows.Length; i++)
                rows[i] = tokens[chosen[i]];
            activations.Gather(rows, into);
        }

        var lambdas = layer == reference
            ? new Dictionary<string, double>()
            : Inputs.ReadJson<Dictionary<string, double>>(context.Published(StageKind.Inform, reference, Artifacts.Lambdas));
        var mode = context.Request.Mode!;
        var slow = JobModes.SlowEstimators(mode);
        ClusterMeasure? clusters = null;
        if (slow)
        {
            context.Progress(0, message: "clusters");
            clusters = new ClusterMeasure(words, activations.Dim, Gather, rules, context.Interrupted);
        }
        var measured = new List<TaskInformation>();
        var chosenWords = new Dictionary<string, ProbeWords>();
        for (var i = 0; i < words.Tasks.Count; i++)
        {
            var task = words.Tasks[i];
            void Report(double done, string what = "") => context.Progress((i + done) / words.Tasks.Count, message: $"{task.Task}{what}");
            Report(0);
            var chosen = chosenWords[task.Task] = ProbeWords.Choose(words, task, rules.MaxTrainWords, rules.Seed);
            var given = task.Task == "dep" ? words.Tasks.FirstOrDefault(t => t.Task == "pos") : null;
            var information = Measure(task.Task, task, chosen, given)!;
            if (TaskVariants.WithoutO(task) is { } entities)
            {
                Report(slow ? 0.15 : 0.5, " without O");
                information = information with { WithoutO = MeasureVariant($"{task.Task}/without_o", entities) };
            }
            if (context.Request.Information!.Target == "both")
            {
                Report(slow ? 0.2 : 0.6, " of the next word");
                var next = TaskVariants.NextWord(task, words, word => corpus.FirstToken[packed[word + 1]] == corpus.LastToken[packed[word]] + 1);
                information = information with { NextWord = MeasureVariant($"{task.Task}/next_word", next) };
            }
            var published = information.Layer with { WithoutO = Published(information.WithoutO) };
            if (JobModes.RanksDimensions(mode))
            {
                Report(slow ? 0.3 : 0.8, ", dimension by dimension");
                published = published with { Dimensions = DimensionRanking.Measure(task, chosen, activations.Dim, Gather, rules, context.Interrupted) };
            }
            if (slow)
            {
                Report(0.35, " by online code");
                var code = OnlineCodeLength.Measure(words, task, chosen, activations.Dim, Gather, lambdas[task.Task], rules, context.Interrupted);
                Report(0.65, " by a hidden layer");
                published = published with
                {
                    Clusters = clusters!.Labels(task),
                    OnlineCode = code,
                    Mlp = MlpInformation.Measure(words, task, chosen, activations.Dim, Gather, rules, context.Interrupted),
                };
            }
            measured.Add(information with { Layer = published });
        }

        TaskInformation Measure(string name, TaskLabels task, ProbeWords chosen, TaskLabels? given)
        {
            if (layer == reference)
                lambdas[name] = VInformation.ChooseLambda(words, task, chosen, activations.Dim, Gather, rules, context.Interrupted).Lambda;
            return VInformation.Measure(words, task, chosen, layer, activations.Dim, Gather, lambdas[name], rules, given, context.Interrupted);
        }

        // Fewer words carry what a variant asks of: where they are too few, which depends on the data alone, the task goes without it.
        TaskInformation? MeasureVariant(string name, TaskLabels task)
        {
            try
            {
                return Measure(name, task, ProbeWords.Choose(words, task, rules.MaxTrainWords, rules.Seed), null);
            }
            catch (UnmeasurableTaskException)
            {
                return null;
            }
        }

        List<StoredArtifact> artifacts = [context.Write(Artifacts.Information, stream => Inputs.WriteJson(stream, measured))];
        if (clusters is not null)
            artifacts.Add(context.Write(Artifacts.WordForms, stream => Inputs.WriteJson(stream, clusters.WordForms() is { } forms ? new[] { forms } : [])));
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

    private static WithoutO? Published(TaskInformation? entities) => entities is null ? null : new()
    {
        EntropyBits = entities.EntropyBits,
        IvBits = entities.Layer.IvBits,
        Normalised = entities.Layer.Normalised,
        TypeInformationBits = entities.TypeInformationBits,
        ControlBits = entities.Layer.ControlBits,
        ShuffledBits = entities.Layer.ShuffledBits,
        Accuracy = entities.Layer.Accuracy,
        MacroF1 = entities.Layer.MacroF1,
    };

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
