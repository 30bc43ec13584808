using SaeService.Contracts;

namespace SaeService.Interpretation.Conclusions;

/// <summary>Gates of a layer x label cell beyond those of a single feature.</summary>
public static class CellGates
{
    public const string OverRandom = "excess_over_random";
    public const string OverTokenTypes = "excess_over_token_types";
    public const string OverUntrained = "excess_over_untrained_model";
    public const string InformationOverTypes = "information_over_types";
    public const string InformationOverControl = "information_over_control";
}

/// <summary>Grades layer x label cells (method 1c): established, suggestive with the gates that failed, or not established.</summary>
internal static class Cells
{
    public static LabelCell Brief(TaskEvidence task, string label, int position)
    {
        var union = task.Scores(label).Unions[position];
        var information = task.InformationOf(label, position);
        return new LabelCell(task.Task, label, Status(task, label, position), union.Union?.F1 ?? 0, task.Scores(label).Excess[position], union.Features,
            information?.IvBits ?? 0, information?.Normalised ?? 0, union.HeldOutWords, union.Best)
        {
            ProbeF1 = information?.ProbeF1,
            TypeF1 = information?.TypeF1,
        };
    }

    /// <summary>Null where the cell has nothing to say.</summary>
    public static Functionality? Describe(TaskEvidence task, string label, int position, Aliases aliases)
    {
        var status = Status(task, label, position);
        if (status == CellStatus.NotEstablished)
            return null;
        var scores = task.Scores(label);
        var union = scores.Unions[position];
        var information = task.InformationOf(label, position);
        return new Functionality
        {
            Task = task.Task,
            Label = label,
            Aliases = aliases.Of(task.Task, label),
            Status = status,
            Rank = 0,
            FailedGates = FailedGates(task, label, position),
            Encodes = new Encodes(union.Union?.F1 ?? 0, scores.F1Interval(position), union.Union?.Recall ?? 0, union.Union?.Precision ?? 0,
                new GatingBaselines(scores.Random[position], scores.TokenType, scores.Untrained[position]),
                new Estimate(scores.Excess[position], scores.ExcessInterval(position))),
            Distinguishes = Distinguishes(task, label, position),
            Information = new CellInformation(information?.IvBits ?? 0, information?.Normalised ?? 0, information?.GivenPosBits),
            Features = new CellFeatures(union.Features, union.Lexical, union.Contextual, union.Mixed, Share(task, label, position)),
        };
    }

    /// <summary>Established cells first; of these, first those that set the layer apart, then by how surely they beat the baselines.</summary>
    public static IReadOnlyList<Functionality> Ranked(IEnumerable<Functionality> cells) =>
    [
        .. cells
            .OrderBy(c => c.Status)
            .ThenByDescending(c => c.Distinguishes.Holds)
            .ThenByDescending(c => c.Encodes.Excess.Ci95![0])
            .ThenByDescending(c => c.Encodes.Excess.Value)
            .ThenByDescending(c => c.Information.IvBits)
            .ThenBy(c => c.Task, StringComparer.Ordinal)
            .ThenBy(c => c.Label, StringComparer.Ordinal)
            .Select((cell, place) => cell with { Rank = place + 1 }),
    ];

    private static CellStatus Status(TaskEvidence task, string label, int position)
    {
        var union = task.Scores(label).Unions[position];
        return union.Features == 0 && union.Candidate is null ? CellStatus.NotEstablished
            : FailedGates(task, label, position).Count == 0 ? CellStatus.Established
            : CellStatus.Suggestive;
    }

    private static List<string> FailedGates(TaskEvidence task, string label, int position)
    {
        var scores = task.Scores(label);
        var failed = new List<string>();
        // Without a consistent feature there is no union to compare: the gates of the nearest feature say why.
        if (scores.Unions[position].Features == 0)
            failed.AddRange(scores.Unions[position].CandidateFailedGates);
        else
        {
            if (scores.OverRandom[position][0] <= 0)
                failed.Add(CellGates.OverRandom);
            if (scores.OverTokenType[position][0] <= 0)
                failed.Add(CellGates.OverTokenTypes);
            if (scores.OverUntrained[position] is [<= 0, _])
                failed.Add(CellGates.OverUntrained);
        }
        if (!task.Gates(position).OverTypes(label))
            failed.Add(CellGates.InformationOverTypes);
        if (!task.Gates(position).OverControl)
            failed.Add(CellGates.InformationOverControl);
        return failed;
    }

    private static Distinguishes Distinguishes(TaskEvidence task, string label, int position)
    {
        var scores = task.Scores(label);
        var (delta, interval) = scores.FromMean(position);
        var score = scores.Score;
        var shares = Enumerable.Range(0, task.Depth).Select(layer => Share(task, label, layer)).ToArray();
        double? quotient = task.Depth > 1 && shares[position] > 0 ? Math.Log2(shares[position] / shares.Average()) : null;
        return new Distinguishes(delta, interval, position == 0 ? null : score[position] - score[position - 1], quotient, interval[0] > 0);
    }

    private static double Share(TaskEvidence task, string label, int position) =>
        task.Alive[position] == 0 ? 0 : (double)task.Scores(label).Unions[position].Features / task.Alive[position];
}
