using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>One side of a comparison.</summary>
/// <param name="Sums">Null where the job ran before they were kept.</param>
public sealed record ComparedDocument(LayerFunctionalityDocument Document, DocumentSums? Sums);

/// <summary>
/// Two layer-functionality documents side by side. Where both were judged on the same documents, the interval of a difference is that of the paired ratio of sums over
/// documents, linearised (the infinitesimal jackknife, which the document bootstrap of the documents themselves approaches). Otherwise the samples are independent, and the
/// two bootstrap intervals are combined by adding the squares of their arms (MOVER: Zou and Donner 2008, Statistics in Medicine 27).
/// </summary>
public sealed class JobComparison
{
    private const double Z95 = 1.959963984540054;
    private readonly LayerFunctionalityDocument _left;
    private readonly LayerFunctionalityDocument _right;
    private readonly (DocumentSums Left, DocumentSums Right)? _sums;
    private readonly IReadOnlyList<LayerPair> _pairs;
    private readonly bool _sameDepth;

    private JobComparison(ComparedDocument left, ComparedDocument right)
    {
        (_left, _right) = (left.Document, right.Document);
        var same = Data(_left).SplitSha256 == Data(_right).SplitSha256
            && Data(_left).Files.Select(f => f.Sha256).Order(StringComparer.Ordinal).SequenceEqual(Data(_right).Files.Select(f => f.Sha256).Order(StringComparer.Ordinal));
        if (same && left.Sums is { } l && right.Sums is { } r && l.HeldOut.SequenceEqual(r.HeldOut) && l.Test.SequenceEqual(r.Test) && l.HeldOut.Count > 1 && l.Test.Count > 1)
            _sums = (l, r);
        _sameDepth = _left.Provenance.Model.Layers == _right.Provenance.Model.Layers;
        _pairs = Pairs();
    }

    /// <exception cref="ProblemException">invalid_request: they have no task or no layer in common.</exception>
    public static Comparison Of(ComparedDocument left, ComparedDocument right)
    {
        var comparison = new JobComparison(left, right);
        if (!left.Document.Tasks.Any(t => right.Document.Tasks.Any(o => o.Task == t.Task)))
            throw new ProblemException(ProblemCodes.InvalidRequest, $"The jobs have no task in common: {Tasks(left)} on the left, {Tasks(right)} on the right.");
        if (comparison._pairs.Count == 0)
            throw new ProblemException(ProblemCodes.InvalidRequest, "The jobs have no layer in common.");
        return comparison.Build();

        static string Tasks(ComparedDocument of) => string.Join(", ", of.Document.Tasks.Select(t => t.Task));
    }

    private Comparison Build()
    {
        var common = _left.Tasks.Where(t => _right.Tasks.Any(o => o.Task == t.Task)).Select(t => (Left: t, Right: _right.Tasks.Single(o => o.Task == t.Task))).ToArray();
        return new Comparison
        {
            Left = Head(_left),
            Right = Head(_right),
            Paired = _sums is not null,
            MatchedBy = _sameDepth ? "layer" : "relative_depth",
            Layers = _pairs,
            Labels = [.. from task in common
                         from profile in task.Left.Profiles
                         let other = task.Right.Profiles.FirstOrDefault(p => p.Label == profile.Label)
                         where other is not null
                         select Label(task.Left.Task, profile, other)],
            Information = [.. from task in common
                              from pair in _pairs
                              let information = Information(task.Left, task.Right, pair)
                              where information is not null
                              select information],
            OnlyLeft = Only(_left, _right),
            OnlyRight = Only(_right, _left),
            Caveats = Caveats(),
        };
    }

    /// <summary>Of models of one depth the same layers; else each with the nearest in depth, the nearest pairs first, no layer twice.</summary>
    private List<LayerPair> Pairs()
    {
        if (_sameDepth)
            return [.. from layer in _left.Layers
                       let other = _right.Layers.FirstOrDefault(o => o.Layer == layer.Layer)
                       where other is not null
                       select new LayerPair(layer.Layer, other.Layer, layer.RelativeDepth, other.RelativeDepth)];
        var pairs = new List<LayerPair>();
        foreach (var (layer, other) in from layer in _left.Layers
                                       from other in _right.Layers
                                       orderby Math.Abs(layer.RelativeDepth - other.RelativeDepth), layer.Layer, other.Layer
                                       select (layer, other))
            if (!pairs.Exists(p => p.Left == layer.Layer || p.Right == other.Layer))
                pairs.Add(new(layer.Layer, other.Layer, layer.RelativeDepth, other.RelativeDepth));
        pairs.Sort((a, b) => a.Left.CompareTo(b.Left));
        return pairs;
    }

    private LabelComparison Label(string task, LabelProfile left, LabelProfile right)
    {
        int[] before = Established(_left, task, left.Label), after = Established(_right, task, left.Label);
        var moved = left.CentreOfGravity is { Localised: true } from && right.CentreOfGravity is { Localised: true } to
            ? Independent(from.Relative, Relative(from, _left), to.Relative, Relative(to, _right)) : null;
        var change = (before.Length > 0, after.Length > 0) switch
        {
            (false, false) => LabelChange.Absent,
            (false, true) => LabelChange.Appeared,
            (true, false) => LabelChange.Vanished,
            _ => moved?.Ci95 is [> 0, _] or [_, < 0] ? LabelChange.Moved : LabelChange.Kept,
        };
        return new(task, left.Label, change, before, after, left.CentreOfGravity, right.CentreOfGravity, moved,
            [.. _pairs.Select(pair => Cell(task, left.Label, pair)).Where(cell => cell is not null).Select(cell => cell!)]);

        static double[] Relative(CentreOfGravity centre, LayerFunctionalityDocument of) => [.. centre.Ci95.Select(end => end / of.Provenance.Model.Layers)];
    }

    private CellComparison? Cell(string task, string label, LayerPair pair)
    {
        var (left, before) = Find(_left, pair.Left);
        var (right, after) = Find(_right, pair.Right);
        if (left is null || right is null)
            return null;
        var excess = before is null || after is null ? new Estimate(right.Excess - left.Excess)
            : Independent(left.Excess, before.Encodes.Excess.Ci95, right.Excess, after.Encodes.Excess.Ci95);
        return new(pair.Left, pair.Right, left.Status, right.Status, UnionF1(), excess, right.FeatureCount - left.FeatureCount, right.IvBits - left.IvBits);

        (LabelCell?, Functionality?) Find(LayerFunctionalityDocument document, int layer)
        {
            var findings = document.Layers.Single(l => l.Layer == layer);
            return (findings.Cells.FirstOrDefault(c => c.Task == task && c.Label == label),
                findings.Functionalities.FirstOrDefault(f => f.Task == task && f.Label == label));
        }

        Estimate UnionF1()
        {
            if (_sums is not var (ofLeft, ofRight))
                // A cell without consistent features scores 0 in every sample.
                return Independent(left.UnionF1, Interval(left, before), right.UnionF1, Interval(right, after));
            double[] l = Scores(ofLeft, pair.Left), r = Scores(ofRight, pair.Right);
            return Paired(right.UnionF1 - left.UnionF1, l, r);
        }

        double[] Scores(DocumentSums sums, int layer) =>
            sums.Cells.FirstOrDefault(c => c.Layer == layer && c.Task == task && c.Label == label) is not { } of ? new double[sums.HeldOut.Count]
                : Influence(Array.ConvertAll(of.TruePositives, n => 2.0 * n),
                    [.. of.TruePositives.Select((n, d) => 2.0 * n + of.FalsePositives[d] + of.FalseNegatives[d])]);

        static double[]? Interval(LabelCell cell, Functionality? found) => cell.FeatureCount == 0 ? [0, 0] : found?.Encodes.Ci95;
    }

    private InformationComparison? Information(TaskFindings left, TaskFindings right, LayerPair pair)
    {
        var before = left.Layers.FirstOrDefault(l => l.Layer == pair.Left);
        var after = right.Layers.FirstOrDefault(l => l.Layer == pair.Right);
        if (before is null || after is null)
            return null;
        var bits = Independent(before.IvBits.Value, before.IvBits.Ci95, after.IvBits.Value, after.IvBits.Ci95);
        if (_sums is var (ofLeft, ofRight)
            && ofLeft.Information.FirstOrDefault(i => i.Layer == pair.Left && i.Task == left.Task) is { } l
            && ofRight.Information.FirstOrDefault(i => i.Layer == pair.Right && i.Task == left.Task) is { } r)
            bits = Paired(bits.Value, Influence(l.SavedBits, Array.ConvertAll(l.Words, n => (double)n)), Influence(r.SavedBits, Array.ConvertAll(r.Words, n => (double)n)));
        return new(left.Task, pair.Left, pair.Right, bits, after.Normalised - before.Normalised);
    }

    /// <summary>What each document does to Σ numerator / Σ denominator: its derivative by the document's weight.</summary>
    private static double[] Influence(double[] numerator, double[] denominator)
    {
        var below = denominator.Sum();
        var ratio = below == 0 ? 0 : numerator.Sum() / below;
        return [.. numerator.Zip(denominator, (n, d) => below == 0 ? 0 : (n - ratio * d) / below)];
    }

    private static Estimate Paired(double difference, double[] left, double[] right)
    {
        var squares = left.Zip(right, (l, r) => (r - l) * (r - l)).Sum();
        var arm = Z95 * Math.Sqrt(squares * left.Length / (left.Length - 1));
        return new(difference, [difference - arm, difference + arm]);
    }

    private static Estimate Independent(double left, double[]? ofLeft, double right, double[]? ofRight)
    {
        var difference = right - left;
        return ofLeft is null || ofRight is null ? new(difference)
            : new(difference, [difference - double.Hypot(right - ofRight[0], ofLeft[1] - left), difference + double.Hypot(ofRight[1] - right, left - ofLeft[0])]);
    }

    private static int[] Established(LayerFunctionalityDocument document, string task, string label) =>
        [.. document.Layers.Where(l => l.Functionalities.Any(f => f.Task == task && f.Label == label && f.Status == CellStatus.Established)).Select(l => l.Layer)];

    private static List<string> Only(LayerFunctionalityDocument of, LayerFunctionalityDocument other)
    {
        var only = new List<string>();
        foreach (var task in of.Tasks)
            if (other.Tasks.FirstOrDefault(t => t.Task == task.Task) is not { } same)
                only.Add(task.Task);
            else
                only.AddRange(task.Profiles.Where(p => same.Profiles.All(o => o.Label != p.Label)).Select(p => $"{task.Task}:{p.Label}"));
        return only;
    }

    private List<string> Caveats()
    {
        var caveats = new List<string>();
        if (_sums is null)
            caveats.Add("Not judged on the same documents, or the jobs did not keep what pairing needs: intervals take the two for independent samples.");
        if (!_sameDepth)
            caveats.Add("The models differ in depth: layers are matched by relative depth, and no two of them are the same place.");
        if (!_left.Layers.Select(l => l.RelativeDepth).SequenceEqual(_right.Layers.Select(l => l.RelativeDepth)))
            caveats.Add("Not the same layers were measured: each centre of gravity is a mean over its own job's layers, and may move for that alone.");
        if (_left.Provenance.Settings.Mode != _right.Provenance.Settings.Mode)
            caveats.Add("The modes differ: a cell may be established in one because the other had more to beat.");
        if (_left.Provenance.Sae.Concat(_right.Provenance.Sae).Any(s => s.Gate != "pass"))
            caveats.Add("Some autoencoders are unfaithful: what their features lack the layer may have.");
        caveats.Add("Intervals are of one difference at a time: among many cells some exclude 0 by chance.");
        return caveats;
    }

    private static ComparedJob Head(LayerFunctionalityDocument document) => new(document.Id, document.Provenance.Model.Name, document.Provenance.Model.Revision,
        Data(document).Name, Data(document).SplitSha256, document.Provenance.Settings.Mode ?? "", document.Provenance.Model.Layers, [.. document.Layers.Select(l => l.Layer)]);

    private static DataProvenance Data(LayerFunctionalityDocument document) => document.Provenance.Data;
}
