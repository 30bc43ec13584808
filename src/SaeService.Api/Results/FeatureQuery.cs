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

    /// <summary><c>lexical</c>, <c>contextual</c> or <c>mixed</c>.</summary>
    [FromQuery(Name = "kind")] public string? Kind { get; init; }

    /// <summary>Only those that pass (or fail) every gate of "highly consistent".</summary>
    [FromQuery(Name = "consistent")] public bool? Consistent { get; init; }

    /// <summary>Only those that fire on at least this many held-out words.</summary>
    [FromQuery(Name = "min_support")] public int? MinSupport { get; init; }

    /// <summary><c>consistency_lower</c> (default), <c>consistency</c>, <c>f1</c>, <c>mcc</c>, <c>mi_bits</c>, <c>context_gain</c>, <c>support</c>: highest first; or <c>index</c>.</summary>
    [FromQuery(Name = "sort")] public string? Sort { get; init; }

    /// <summary><c>next_after</c> of the page before.</summary>
    [FromQuery(Name = "after")] public string? After { get; init; }

    /// <summary>1 to 200; default 50.</summary>
    [FromQuery(Name = "limit")] public int? Limit { get; init; }

    private static readonly string[] s_sorts = ["consistency_lower", "consistency", "f1", "mcc", "mi_bits", "context_gain", "support", "index"];

    public int PageSize => Limit ?? 50;
    public string SortColumn => Sort ?? s_sorts[0];

    /// <summary>One row more than the page, in order: (summary, key of the row).</summary>
    /// <exception cref="ProblemException">invalid_parameter.</exception>
    public NpgsqlCommand Command(NpgsqlDataSource database, Guid job, int layer)
    {
        if (PageSize is < 1 or > 200)
            throw ProblemMetadataExtensions.Parameter("limit", "must be between 1 and 200");
        // The column goes into the statement as text, so it must be one of ours.
        if (!s_sorts.Contains(SortColumn))
            throw ProblemMetadataExtensions.Parameter("sort", $"is not known; known: {string.Join(", ", s_sorts)}");
        FeatureKind? kind = Kind is null ? null : Enum.TryParse<FeatureKind>(Kind, ignoreCase: true, out var parsed) && !char.IsDigit(Kind[0]) && Kind[0] != '-'
            ? parsed : throw ProblemMetadataExtensions.Parameter("kind", "is not known; known: lexical, contextual, mixed");

        var command = database.CreateCommand();
        var sql = new StringBuilder($"SELECT summary, {SortColumn}::float8 AS key, index, task FROM feature_labels WHERE job_id = {Bind(job)} AND layer = {Bind(layer)}");
        if (Task is not null)
            sql.Append(CultureInfo.InvariantCulture, $" AND task = {Bind(Task)}");
        if (Label is not null)
            sql.Append(CultureInfo.InvariantCulture, $" AND label = {Bind(Label)}");
        if (kind is not null)
            sql.Append(CultureInfo.InvariantCulture, $" AND kind = {Bind(kind.Value.ToString())}");
        if (Consistent is not null)
            sql.Append(CultureInfo.InvariantCulture, $" AND consistent = {Bind(Consistent.Value)}");
        if (MinSupport is not null)
            sql.Append(CultureInfo.InvariantCulture, $" AND support >= {Bind(MinSupport.Value)}");
        var order = SortColumn == "index" ? "ASC" : "DESC";
        if (After is not null)
        {
            var (value, index, task) = Decode(After);
            var (v, i, t) = (Bind(value), Bind(index), Bind(task));
            sql.Append(CultureInfo.InvariantCulture,
                $" AND ({SortColumn}::float8 {(order == "ASC" ? '>' : '<')} {v} OR ({SortColumn}::float8 = {v} AND (index, task COLLATE \"C\") > ({i}, {t})))");
        }
        sql.Append(CultureInfo.InvariantCulture, $" ORDER BY key {order}, index, task COLLATE \"C\" LIMIT {Bind(PageSize + 1)}");
        command.CommandText = sql.ToString();
        return command;

        string Bind(object value)
        {
            command.Parameters.AddWithValue(value);
            return "$" + command.Parameters.Count.ToString(CultureInfo.InvariantCulture);
        }
    }

    /// <summary>A cursor names the last row seen and the order it was seen in.</summary>
    public string Encode(double value, int index, string task) =>
        Base64Url(string.Create(CultureInfo.InvariantCulture, $"{SortColumn}|{value:R}|{index}|{task}"));

    private (double Value, int Index, string Task) Decode(string cursor)
    {
        try
        {
            var parts = Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(cursor)).Split('|', 4);
            if (parts.Length == 4 && parts[0] == SortColumn && double.TryParse(parts[1], NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var index) && !parts[3].Contains('\0'))
                return (value, index, parts[3]);
        }
        catch (FormatException)
        {
        }
        throw ProblemMetadataExtensions.Parameter("after", "is not a cursor of this list in this order");
    }

    private static string Base64Url(string text) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
