using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Mvc;
using Npgsql;
using SaeService.Api.Problems;
using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>Which features of a layer, in which order. Pages are cut by key, so that a page is as cheap at the end as at the beginning.</summary>
public sealed class FeatureQuery
{
    /// <summary>Only this task: <c>pos</c>.</summary>
    [FromQuery(Name = "task")] public string? Task { get; init; }

    /// <summary>Only features whose dominant label is this: <c>NOUN</c>.</summary>
    [FromQuery(Name = "label")] public string? Label { get; init; }

    /// <summary>Free text, whatever its case: part of the dominant label or of a promoted token, or the number of the feature. Jobs of older versions are not searched for tokens.</summary>
    [FromQuery(Name = "q")] public string? Search { get; init; }

    /// <summary><c>lexical</c>, <c>contextual</c> or <c>mixed</c>.</summary>
    [FromQuery(Name = "kind")] public string? Kind { get; init; }

    /// <summary>Only those that pass (or fail) every gate of "highly consistent".</summary>
    [FromQuery(Name = "consistent")] public bool? Consistent { get; init; }

    /// <summary>Only those that fire on at least this many held-out words.</summary>
    [FromQuery(Name = "min_support")] public int? MinSupport { get; init; }

    /// <summary>Only those of at least this consistency, 0 to 1.</summary>
    [FromQuery(Name = "min_consistency")] public double? MinConsistency { get; init; }

    /// <summary>Only those of at least this F1, 0 to 1.</summary>
    [FromQuery(Name = "min_f1")] public double? MinF1 { get; init; }

    /// <summary>Only those that fire on at least this share of the words, 0 to 1.</summary>
    [FromQuery(Name = "min_density")] public double? MinDensity { get; init; }

    /// <summary>Only those that fire on at most this share of the words, 0 to 1.</summary>
    [FromQuery(Name = "max_density")] public double? MaxDensity { get; init; }

    /// <summary>
    /// <c>consistency_lower</c> (default), <c>consistency</c>, <c>f1</c>, <c>mcc</c>, <c>mi_bits</c>, <c>context_gain</c>, <c>support</c>, <c>density</c>,
    /// <c>max_activation</c> or <c>index</c>.
    /// </summary>
    [FromQuery(Name = "sort")] public string? Sort { get; init; }

    /// <summary><c>asc</c> or <c>desc</c>; default: by index the lowest first, by anything else the highest.</summary>
    [FromQuery(Name = "order")] public string? Order { get; init; }

    /// <summary><c>next_after</c> of the page before.</summary>
    [FromQuery(Name = "after")] public string? After { get; init; }

    /// <summary><c>previous_before</c> of the page after.</summary>
    [FromQuery(Name = "before")] public string? Before { get; init; }

    /// <summary>1 to 200; default 50.</summary>
    [FromQuery(Name = "limit")] public int? Limit { get; init; }

    private static readonly string[] s_ofLabels = ["consistency_lower", "consistency", "f1", "mcc", "mi_bits", "context_gain", "support", "index"];
    private static readonly string[] s_ofFeatures = ["density", "max_activation"];

    /// <summary>What <see cref="Sort"/> may be.</summary>
    public static IReadOnlyList<string> Sorts { get; } = [.. s_ofLabels, .. s_ofFeatures];

    public int PageSize => Limit ?? 50;
    public string SortColumn => Sort ?? Sorts[0];
    public bool Ascending => (Order ?? (SortColumn == "index" ? "asc" : "desc")) == "asc";

    /// <summary>Whether the page is the one before a cursor: its rows then come last first.</summary>
    public bool Backward => Before is not null;

    /// <exception cref="ProblemException">invalid_parameter.</exception>
    public void Check()
    {
        if (PageSize is < 1 or > 200)
            throw ProblemMetadataExtensions.Parameter("limit", "must be between 1 and 200");
        // The column goes into the statement as text, so it must be one of ours.
        if (!Sorts.Contains(SortColumn))
            throw ProblemMetadataExtensions.Parameter("sort", $"is not known; known: {string.Join(", ", Sorts)}");
        if (Order is not (null or "asc" or "desc"))
            throw ProblemMetadataExtensions.Parameter("order", "is not known; known: asc, desc");
        if (After is not null && Before is not null)
            throw ProblemMetadataExtensions.Parameter("before", "can not go with after: a page lies on one side of a cursor");
        foreach (var (name, text) in new[] { ("task", Task), ("label", Label), ("q", Search) })
            if (text?.Contains('\0') == true)
                throw ProblemMetadataExtensions.Parameter(name, "holds a NUL, which no label does");
        if (Search?.Length > 200)
            throw ProblemMetadataExtensions.Parameter("q", "is longer than 200 characters");
        foreach (var (name, value) in new[] { ("min_consistency", MinConsistency), ("min_f1", MinF1), ("min_density", MinDensity), ("max_density", MaxDensity) })
            if (value is < 0 or > 1 or double.NaN)
                throw ProblemMetadataExtensions.Parameter(name, "must be between 0 and 1");
    }

    /// <summary>
    /// Two commands: how many rows match, and one row more than the page, in order, or in reverse order where <see cref="Backward"/>: (summary, key of the row).
    /// </summary>
    /// <exception cref="ProblemException">invalid_parameter.</exception>
    public NpgsqlBatch Batch(NpgsqlDataSource database, Guid job, int layer)
    {
        Check();
        var count = new Statement();
        count.Sql.Append("SELECT count(*)").Append(Rows(count, job, layer));

        var page = new Statement();
        var column = s_ofFeatures.Contains(SortColumn) ? $"f.{SortColumn}" : $"l.{SortColumn}";
        var rows = new StringBuilder($"SELECT l.index, l.task, {column}::float8 AS key").Append(Rows(page, job, layer));
        var ascending = Ascending != Backward;
        var (order, tie) = (ascending ? "ASC" : "DESC", Backward ? "DESC" : "ASC");
        if ((After ?? Before) is { } cursor)
        {
            var (value, index, task) = Decode(cursor);
            var (v, i, t) = (page.Bind(value), page.Bind(index), page.Bind(task));
            rows.Append(CultureInfo.InvariantCulture, $" AND ({column}::float8 {(ascending ? '>' : '<')} {v} ")
                .Append(CultureInfo.InvariantCulture, $"OR ({column}::float8 = {v} AND (l.index, l.task COLLATE \"C\") {(Backward ? '<' : '>')} ({i}, {t})))");
        }
        rows.Append(CultureInfo.InvariantCulture, $" ORDER BY key {order}, l.index {tie}, l.task COLLATE \"C\" {tie} LIMIT {page.Bind(PageSize + 1)}");
        // Rows are found by what the index has; the wide summaries are fetched for the page alone.
        page.Sql.Append(CultureInfo.InvariantCulture, $"SELECT s.summary, p.key, p.index, p.task FROM ({rows}) p ")
            .Append(CultureInfo.InvariantCulture, $"JOIN feature_labels s ON s.job_id = {page.Bind(job)} AND s.layer = {page.Bind(layer)} AND s.index = p.index AND s.task = p.task ")
            .Append(CultureInfo.InvariantCulture, $"ORDER BY p.key {order}, p.index {tie}, p.task COLLATE \"C\" {tie}");

        var batch = database.CreateBatch();
        batch.BatchCommands.Add(count.Command());
        batch.BatchCommands.Add(page.Command());
        return batch;
    }

    private StringBuilder Rows(Statement statement, Guid job, int layer)
    {
        var sql = new StringBuilder(" FROM feature_labels l");
        if (s_ofFeatures.Contains(SortColumn) || MinDensity is not null || MaxDensity is not null)
            sql.Append(" JOIN features f ON f.job_id = l.job_id AND f.layer = l.layer AND f.index = l.index");
        sql.Append(CultureInfo.InvariantCulture, $" WHERE l.job_id = {statement.Bind(job)} AND l.layer = {statement.Bind(layer)}");
        FeatureKind? kind = Kind is null ? null : Enum.TryParse<FeatureKind>(Kind, ignoreCase: true, out var parsed) && !char.IsDigit(Kind[0]) && Kind[0] != '-'
            ? parsed : throw ProblemMetadataExtensions.Parameter("kind", "is not known; known: lexical, contextual, mixed");
        And("l.task =", Task);
        And("l.label =", Label);
        And("l.kind =", kind?.ToString());
        And("l.consistent =", Consistent);
        And("l.support >=", MinSupport);
        And("l.consistency >=", MinConsistency);
        And("l.f1 >=", MinF1);
        And("f.density >=", MinDensity);
        And("f.density <=", MaxDensity);
        if (Search?.Trim() is { Length: > 0 } search)
        {
            // Case by the rules of C: those of a language take longer than all the rest of the search.
            sql.Append(CultureInfo.InvariantCulture, $" AND (strpos(lower(l.label COLLATE \"C\"), lower({statement.Bind(search)} COLLATE \"C\")) > 0")
                .Append(CultureInfo.InvariantCulture, $" OR l.index IN (SELECT t.index FROM features t WHERE t.job_id = {statement.Bind(job)} AND t.layer = {statement.Bind(layer)}")
                .Append(CultureInfo.InvariantCulture, $" AND strpos(t.promoted_tokens, {statement.Bind(search.ToLowerInvariant())}) > 0)");
            if (int.TryParse(search, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                sql.Append(CultureInfo.InvariantCulture, $" OR l.index = {statement.Bind(number)}");
            sql.Append(')');
        }
        return sql;

        void And(string comparison, object? value)
        {
            if (value is not null)
                sql.Append(CultureInfo.InvariantCulture, $" AND {comparison} {statement.Bind(value)}");
        }
    }

    /// <summary>A cursor names the row it stands at and the order it was seen in.</summary>
    public string Encode(double value, int index, string task) =>
        System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{OrderName}|{value:R}|{index}|{task}")));

    private string OrderName => (Ascending ? "+" : "-") + SortColumn;

    private (double Value, int Index, string Task) Decode(string cursor)
    {
        try
        {
            var parts = Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(cursor)).Split('|', 4);
            if (parts.Length == 4 && parts[0] == OrderName && double.TryParse(parts[1], NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var index) && !parts[3].Contains('\0'))
                return (value, index, parts[3]);
        }
        catch (FormatException)
        {
        }
        throw ProblemMetadataExtensions.Parameter(Backward ? "before" : "after", "is not a cursor of this list in this order");
    }

    /// <summary>SQL text and the parameters it names.</summary>
    private sealed class Statement
    {
        private readonly List<object> _values = [];

        public StringBuilder Sql { get; } = new();

        public string Bind(object value)
        {
            _values.Add(value);
            return "$" + _values.Count.ToString(CultureInfo.InvariantCulture);
        }

        public NpgsqlBatchCommand Command()
        {
            var command = new NpgsqlBatchCommand(Sql.ToString());
            foreach (var value in _values)
                command.Parameters.Add(new NpgsqlParameter { Value = value });
            return command;
        }
    }
}
