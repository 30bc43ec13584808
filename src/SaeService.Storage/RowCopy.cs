using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;

namespace SaeService.Storage;

/// <summary>
/// Bulk results by COPY. Each call replaces what the table holds for one layer of one job, in the transaction that is open on the context:
/// a stage that runs again leaves one set of rows, its last.
/// </summary>
public static class RowCopy
{
    public static Task ReplaceAsync(SaeDbContext db, Guid jobId, int layer, IEnumerable<FeatureRow> rows, CancellationToken cancellation) =>
        ReplaceAsync(db, "features",
            "index, density, max_activation, mean_activation, histogram, contexts, promoted, suppressed, intervals, label_histograms, promoted_tokens", jobId, layer, rows,
            static async (writer, row) =>
            {
                await writer.WriteAsync(row.Index, NpgsqlDbType.Integer);
                await writer.WriteAsync(row.Density, NpgsqlDbType.Double);
                await writer.WriteAsync(row.MaxActivation, NpgsqlDbType.Real);
                await writer.WriteAsync(row.MeanActivation, NpgsqlDbType.Real);
                await writer.WriteAsync(StorableText.Json(row.HistogramJson), NpgsqlDbType.Jsonb);
                await writer.WriteAsync(StorableText.Json(row.ContextsJson), NpgsqlDbType.Jsonb);
                await writer.WriteAsync(StorableText.Json(row.PromotedJson), NpgsqlDbType.Jsonb);
                await writer.WriteAsync(StorableText.Json(row.SuppressedJson), NpgsqlDbType.Jsonb);
                await WriteAsync(writer, row.IntervalsJson, StorableText.Json, NpgsqlDbType.Jsonb);
                await WriteAsync(writer, row.LabelHistogramsJson, StorableText.Json, NpgsqlDbType.Jsonb);
                await WriteAsync(writer, row.PromotedTokens, StorableText.Plain, NpgsqlDbType.Text);
            }, cancellation);

    public static Task ReplaceAsync(SaeDbContext db, Guid jobId, int layer, IEnumerable<FeatureLabelRow> rows, CancellationToken cancellation) =>
        ReplaceAsync(db, "feature_labels",
            "index, task, label, kind, consistent, consistency, consistency_lower, f1, mcc, mi_bits, context_gain, support, summary", jobId, layer, rows,
            static async (writer, row) =>
            {
                await writer.WriteAsync(row.Index, NpgsqlDbType.Integer);
                await writer.WriteAsync(row.Task, NpgsqlDbType.Text);
                await writer.WriteAsync(StorableText.Plain(row.Label), NpgsqlDbType.Text);
                await writer.WriteAsync(row.Kind.ToString(), NpgsqlDbType.Varchar);
                await writer.WriteAsync(row.Consistent, NpgsqlDbType.Boolean);
                await writer.WriteAsync(row.Consistency, NpgsqlDbType.Double);
                await writer.WriteAsync(row.ConsistencyLower, NpgsqlDbType.Double);
                await writer.WriteAsync(row.F1, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Mcc, NpgsqlDbType.Double);
                await writer.WriteAsync(row.MiBits, NpgsqlDbType.Double);
                await writer.WriteAsync(row.ContextGain, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Support, NpgsqlDbType.Integer);
                await writer.WriteAsync(StorableText.Json(row.SummaryJson), NpgsqlDbType.Jsonb);
            }, cancellation);

    public static Task ReplaceAsync(SaeDbContext db, Guid jobId, int layer, IEnumerable<CellRow> rows, CancellationToken cancellation) =>
        ReplaceAsync(db, "cells", "task, label, status, union_f1, excess, feature_count, iv_bits, normalised, support", jobId, layer, rows,
            static async (writer, row) =>
            {
                await writer.WriteAsync(row.Task, NpgsqlDbType.Text);
                await writer.WriteAsync(StorableText.Plain(row.Label), NpgsqlDbType.Text);
                await writer.WriteAsync(row.Status.ToString(), NpgsqlDbType.Varchar);
                await writer.WriteAsync(row.UnionF1, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Excess, NpgsqlDbType.Double);
                await writer.WriteAsync(row.FeatureCount, NpgsqlDbType.Integer);
                await writer.WriteAsync(row.IvBits, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Normalised, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Support, NpgsqlDbType.Integer);
            }, cancellation);

    public static Task ReplaceAsync(SaeDbContext db, Guid jobId, int layer, IEnumerable<ProbeRow> rows, CancellationToken cancellation) =>
        ReplaceAsync(db, "probes", "task, iv_bits, control_bits, shuffled_bits, accuracy, macro_f1, information", jobId, layer, rows,
            static async (writer, row) =>
            {
                await writer.WriteAsync(row.Task, NpgsqlDbType.Text);
                await writer.WriteAsync(row.IvBits, NpgsqlDbType.Double);
                await writer.WriteAsync(row.ControlBits, NpgsqlDbType.Double);
                await writer.WriteAsync(row.ShuffledBits, NpgsqlDbType.Double);
                await writer.WriteAsync(row.Accuracy, NpgsqlDbType.Double);
                await writer.WriteAsync(row.MacroF1, NpgsqlDbType.Double);
                await writer.WriteAsync(StorableText.Json(row.InformationJson), NpgsqlDbType.Jsonb);
            }, cancellation);

    /// <summary>Replaces the row of one autoencoder.</summary>
    public static async Task ReplaceAsync(SaeDbContext db, LayerRow row, CancellationToken cancellation)
    {
        RequireTransaction(db);
        await db.Layers.Where(x => x.JobId == row.JobId && x.Layer == row.Layer).ExecuteDeleteAsync(cancellation);
        db.Layers.Add(row);
        await db.SaveChangesAsync(cancellation);
        db.Entry(row).State = EntityState.Detached;
    }

    // Table and column names are this file's own constants; nothing of a caller's reaches the SQL text.
    private static async Task ReplaceAsync<TRow>(SaeDbContext db, string table, string columns, Guid jobId, int layer, IEnumerable<TRow> rows,
        Func<NpgsqlBinaryImporter, TRow, Task> write, CancellationToken cancellation)
    {
        RequireTransaction(db);
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        await using (var delete = new NpgsqlCommand($"DELETE FROM {table} WHERE job_id = $1 AND layer = $2", connection))
        {
            delete.Parameters.Add(new() { Value = jobId });
            delete.Parameters.Add(new() { Value = layer });
            await delete.ExecuteNonQueryAsync(cancellation);
        }
        await using var writer = await connection.BeginBinaryImportAsync($"COPY {table} (job_id, layer, {columns}) FROM STDIN (FORMAT BINARY)", cancellation);
        foreach (var row in rows)
        {
            await writer.StartRowAsync(cancellation);
            await writer.WriteAsync(jobId, NpgsqlDbType.Uuid, cancellation);
            await writer.WriteAsync(layer, NpgsqlDbType.Integer, cancellation);
            await write(writer, row);
        }
        await writer.CompleteAsync(cancellation);
    }

    private static Task WriteAsync(NpgsqlBinaryImporter writer, string? text, Func<string, string> storable, NpgsqlDbType type) =>
        text is null ? writer.WriteNullAsync() : writer.WriteAsync(storable(text), type);

    private static void RequireTransaction(SaeDbContext db)
    {
        if (db.Database.CurrentTransaction is null)
            throw new InvalidOperationException("replacing rows deletes first: open a transaction on the context");
    }
}

/// <summary>Postgres stores every character but NUL, which byte-level tokens do contain. It becomes U+FFFD.</summary>
public static class StorableText
{
    private const string EscapedNul = "\\u0000";

    public static string Plain(string text) => text.Contains('\0') ? text.Replace('\0', '\uFFFD') : text;

    /// <param name="json">Well-formed JSON, in which NUL can only be written as an escape.</param>
    public static string Json(string json)
    {
        if (!json.Contains(EscapedNul, StringComparison.Ordinal))
            return json;
        var text = new System.Text.StringBuilder(json.Length);
        for (var i = 0; i < json.Length; i++)
        {
            if (json[i] != '\\')
            {
                text.Append(json[i]);
            }
            else if (string.CompareOrdinal(json, i, EscapedNul, 0, EscapedNul.Length) == 0)
            {
                text.Append("\\ufffd");
                i += EscapedNul.Length - 1;
            }
            else
            {
                // An escaped backslash before "u0000" is text, not an escape: both characters pass together.
                text.Append(json[i]).Append(json[++i]);
            }
        }
        return text.ToString();
    }
}
