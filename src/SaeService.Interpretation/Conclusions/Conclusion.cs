using SaeService.Contracts;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>Joins what was measured into the layer-functionality document (method 1c and 6). The same evidence gives the same document.</summary>
public static class Conclusion
{
    /// <summary>Consistent features listed with a layer; the whole table is elsewhere.</summary>
    private const int FeaturesListed = 50;

    /// <exception cref="ArgumentException">No layer, layers out of order, or labellings over different documents or tasks.</exception>
    public static LayerFunctionalityDocument Build(Evidence evidence)
    {
        Check(evidence);
        var names = evidence.Words.Tasks.Select(t => t.Task).ToArray();
        var measured = names.Where(task => evidence.Layers.All(l => l.Information.Any(i => i.Task == task))).ToArray();
        var aliases = new Aliases(evidence.Words);
        var documents = new DocumentBootstrap(evidence.TokenTypes.HeldOutDocuments.Length, evidence.Rules.BootstrapSamples, evidence.Rules.Seed);
        var tasks = measured.Select(task => new TaskEvidence(task, evidence, documents)).ToArray();
        return new LayerFunctionalityDocument
        {
            Id = evidence.Id,
            CreatedUtc = evidence.CreatedUtc,
            Provenance = evidence.Provenance,
            Counts = evidence.Counts,
            Tasks = [.. tasks.Select(t => Findings(t, evidence, aliases))],
            Layers = [.. Enumerable.Range(0, evidence.Layers.Count).Select(position => Findings(position, tasks, evidence, aliases))],
            MultipleTesting = new MultipleTesting("Benjamini-Hochberg", "layer x task", evidence.Layers.Sum(l => l.Autoencoder.Tasks.Sum(t => t.Tests))),
            Caveats = Reservations.Caveats(evidence, [.. names.Except(measured)]),
            Glossary = Reservations.Glossary,
        };
    }

    private static TaskFindings Findings(TaskEvidence task, Evidence evidence, Aliases aliases)
    {
        // The same words are scored at every layer, so what belongs to the task alone can be read from any of them.
        var any = task.Information[0];
        var labels = evidence.Words.Tasks.Single(t => t.Task == task.Task);
        int[] layers = [.. evidence.Layers.Select(l => l.Layer)];
        return new TaskFindings
        {
            Task = task.Task,
            Labels = labels.Of.Where(y => y >= 0).Distinct().Count(),
            EntropyBits = any.EntropyBits,
            Majority = any.Majority,
            TypeBaselineAccuracy = any.TypeAccuracy,
            TypeBaselineMacroF1 = any.TypeMacroF1,
            TypeInformationBits = any.TypeInformationBits,
            Target = "current",
            Lambda = any.Lambda,
            Layers = [.. task.Information.Select((i, position) => WithUntrained(i.Layer, task.Task, evidence.Layers[position]) with { ChangeFromPrevious = task.ByDepth.Change(position) })],
            InformationPeakSet = [.. task.ByDepth.PeakSet().Select(position => layers[position])],
            NextWord = NextWord(task),
            Profiles =
            [
                .. task.Labels.Select(label => Profiles.Build(label, aliases.Of(task.Task, label), task.Scores(label), layers, task.DepthsOf(label),
                    evidence.Provenance.Model.Layers, evidence.Rules.BootstrapSamples)),
            ],
        };
    }

    private static NextWordFindings? NextWord(TaskEvidence task)
    {
        if (task.NextWordByDepth is null)
            return null;
        var any = task.Information[0].NextWord!;
        return new NextWordFindings
        {
            EntropyBits = any.EntropyBits,
            Majority = any.Majority,
            TypeBaselineAccuracy = any.TypeAccuracy,
            TypeInformationBits = any.TypeInformationBits,
            Lambda = any.Lambda,
            Layers = [.. task.Information.Select((i, position) => i.NextWord!.Layer with { ChangeFromPrevious = task.NextWordByDepth.Change(position) })],
        };
    }

    private static LayerFindings Findings(int position, TaskEvidence[] tasks, Evidence evidence, Aliases aliases)
    {
        var layer = evidence.Layers[position];
        var functionalities = Cells.Ranked(tasks.SelectMany(task => task.Labels.Select(label => Cells.Describe(task, label, position, aliases)))
            .Where(cell => cell is not null).Select(cell => cell!));
        var faithful = evidence.Provenance.Sae.All(s => s.Layer != layer.Layer || s.Gate == "pass");
        var concluded = tasks.Select(t => t.Task).ToArray();
        return new LayerFindings
        {
            Layer = layer.Layer,
            HookPoint = layer.HookPoint,
            RelativeDepth = evidence.Provenance.Model.Layers == 0 ? 0 : (double)layer.Layer / evidence.Provenance.Model.Layers,
            Alive = layer.Autoencoder.Alive,
            Functionalities = functionalities,
            FunctionalitiesNone = functionalities.All(c => c.Status != CellStatus.Established),
            Cells = [.. tasks.SelectMany(task => task.Labels.Select(label => Cells.Brief(task, label, position) with
            {
                SparseProbes = layer.Autoencoder.Probes.FirstOrDefault(p => p.Task == task.Task && p.Label == label)?.Probes,
            }))],
            Features =
            [
                .. layer.Autoencoder.Tasks.SelectMany(t => t.Consistent)
                    .OrderByDescending(f => f.Mcc).ThenBy(f => f.Index).ThenBy(f => Array.IndexOf(concluded, f.Task)).Take(FeaturesListed),
            ],
            Summary = Summaries.Of(layer.Layer, functionalities, concluded, faithful, evidence.TokenTypes.HeldOutDocuments.Length),
            WordForms = layer.WordForms,
            Controls = Reservations.Controls(layer, evidence.TokenTypes),
            SplitConsistency = [.. layer.Autoencoder.Tasks.Where(t => t.Split is not null).Select(t => t.Split!)],
            SeedStability = layer.SeedStability,
            Dictionaries = Comparisons.Of(layer, evidence.TokenTypes, evidence.Provenance.Sae.FirstOrDefault(s => s.Layer == layer.Layer)?.Fvu),
        };
    }

    private static LayerInformation WithUntrained(LayerInformation information, string task, LayerEvidence layer)
    {
        return information with { UntrainedBits = Bits(DictionaryNames.UntrainedModel), PermutedBits = Bits(DictionaryNames.PermutedModel) };

        double? Bits(string model) => layer.Untrained.FirstOrDefault(u => u.Name == model)?.Information.FirstOrDefault(i => i.Task == task)?.Layer.IvBits.Value;
    }

    private static void Check(Evidence evidence)
    {
        if (evidence.Layers.Count == 0)
            throw new ArgumentException("no layer was measured");
        for (var n = 1; n < evidence.Layers.Count; n++)
            if (evidence.Layers[n].Layer <= evidence.Layers[n - 1].Layer)
                throw new ArgumentException($"layer {evidence.Layers[n].Layer} follows layer {evidence.Layers[n - 1].Layer}: layers must ascend");
        var tasks = evidence.Words.Tasks.Select(t => t.Task).ToArray();
        Same(evidence.TokenTypes, "token-type detectors");
        foreach (var layer in evidence.Layers)
        {
            Same(layer.Autoencoder, $"layer {layer.Layer}");
            if (layer.Random.Count == 0)
                throw new ArgumentException($"layer {layer.Layer} has no random directions to be compared with");
            foreach (var random in layer.Random)
                Same(random, $"random directions of layer {layer.Layer}");
            foreach (var untrained in layer.Untrained)
                Same(untrained.Labelling, $"layer {layer.Layer} of the {untrained.Name}");
            foreach (var (of, labelling) in layer.Dictionaries)
                Same(labelling, $"{of.Name} of layer {layer.Layer}");
        }

        void Same(LayerLabelling labelling, string of)
        {
            if (!labelling.HeldOutDocuments.AsSpan().SequenceEqual(evidence.TokenTypes.HeldOutDocuments))
                throw new ArgumentException($"the labels of {of} are judged on other documents than those of the token-type detectors");
            var labelled = labelling.Tasks.Select(t => t.Task).ToArray();
            if (!labelled.SequenceEqual(tasks))
                throw new ArgumentException($"the labels of {of} are of tasks {string.Join(", ", labelled)}, the words' of {string.Join(", ", tasks)}");
        }
    }
}
