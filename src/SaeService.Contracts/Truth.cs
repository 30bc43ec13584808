using System.Globalization;
using System.Text.Json.Serialization;

namespace SaeService.Contracts;

/// <summary>What was found of something that is known, beside what must be found.</summary>
/// <param name="Value">The figure that was judged; null where it is not a number, and where the check was skipped.</param>
/// <param name="Want">The bound it is held to, as a person would say it.</param>
public sealed record TruthCheck(string Name, double? Value, string Want, bool Ok)
{
    /// <summary>What stands behind a figure that fails, or beside one that does not: the cells, features or numbers by name.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Note { get; init; }

    /// <summary>Why the check was not made. Such a check neither passes nor fails, and <see cref="Ok"/> is true.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Skipped { get; init; }

    public static TruthCheck AtMost(string name, double value, double bound) => Of(name, value, Invariant($"at most {bound}"), value <= bound);

    public static TruthCheck AtLeast(string name, double value, double bound) => Of(name, value, Invariant($"at least {bound}"), value >= bound);

    public static TruthCheck Exactly(string name, double value, double wanted) => Of(name, value, Invariant($"{wanted}"), value == wanted);

    public static TruthCheck SkippedFor(string name, string want, string reason) => new(name, null, want, true) { Skipped = reason };

    // What is not a number fails every comparison, and JSON has no name for it.
    private static TruthCheck Of(string name, double value, string want, bool ok) => new(name, double.IsFinite(value) ? value : null, want, ok);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What <c>sae bench truth --json</c> prints.</summary>
public sealed record TruthReport(int Passed, int Failed, int Skipped, IReadOnlyList<TruthCheck> Checks)
{
    public static TruthReport Of(IReadOnlyList<TruthCheck> checks) =>
        new(checks.Count(c => c.Ok && c.Skipped is null), checks.Count(c => !c.Ok), checks.Count(c => c.Skipped is not null), checks);
}
