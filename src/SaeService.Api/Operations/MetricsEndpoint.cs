using System.Globalization;
using System.Text;
using Npgsql;
using SaeService.Contracts;

namespace SaeService.Api.Operations;

/// <summary>The state of the queue in Prometheus' text format (0.0.4), counted in the database at the moment of asking.</summary>
public static class MetricsEndpoint
{
    private static readonly string[] s_webhookStates = ["pending", "delivered", "gave_up"];

    public static void MapMetrics(this WebApplication app) => app.MapGet("/metrics", Get).WithName("GetMetrics")
        .WithSummary("Metrics in Prometheus' text format").WithTags("Operations").Produces<string>(StatusCodes.Status200OK, "text/plain");

    private static async Task<IResult> Get(NpgsqlDataSource database, CancellationToken ct)
    {
        var text = new StringBuilder();
        await using var connection = await database.OpenConnectionAsync(ct);

        Head(text, "sae_jobs", "gauge", "Jobs by status.");
        var jobs = await CountsAsync(connection, "SELECT status, count(*)::float8, 0::float8 FROM jobs GROUP BY status", ct);
        foreach (var status in Enum.GetNames<JobStatus>())
            Line(text, "sae_jobs", $"status=\"{status.ToLowerInvariant()}\"", jobs.GetValueOrDefault(status).First);

        Head(text, "sae_stages", "gauge", "Stages of unfinished jobs by status.");
        var stages = await CountsAsync(connection,
            "SELECT s.status, count(*)::float8, 0::float8 FROM stages s JOIN jobs j ON j.id = s.job_id WHERE j.status IN ('Queued', 'Running', 'Cancelling') GROUP BY s.status", ct);
        foreach (var status in Enum.GetNames<StageStatus>())
            Line(text, "sae_stages", $"status=\"{status.ToLowerInvariant()}\"", stages.GetValueOrDefault(status).First);

        Head(text, "sae_oldest_queued_seconds", "gauge", "Age of the oldest queued job.");
        var oldest = await CountsAsync(connection, "SELECT '', coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8, 0::float8 FROM jobs WHERE status = 'Queued'", ct);
        Line(text, "sae_oldest_queued_seconds", null, oldest[""].First);

        Head(text, "sae_stage_duration_seconds", "summary", "Time that finished stages took, by kind.");
        var durations = await CountsAsync(connection,
            "SELECT kind, sum(extract(epoch FROM finished_at - started_at))::float8, count(*)::float8 FROM stages WHERE status = 'Succeeded' AND started_at IS NOT NULL AND finished_at IS NOT NULL GROUP BY kind", ct);
        foreach (var kind in Enum.GetValues<StageKind>())
        {
            var (sum, count) = durations.GetValueOrDefault(kind.ToString());
            Line(text, "sae_stage_duration_seconds_sum", $"stage=\"{kind.Name()}\"", sum);
            Line(text, "sae_stage_duration_seconds_count", $"stage=\"{kind.Name()}\"", count);
        }

        Head(text, "sae_stage_failures", "gauge", "Attempts of unfinished stages that were lost or failed.");
        var failures = await CountsAsync(connection, "SELECT kind, sum(failures)::float8, 0::float8 FROM stages WHERE failures > 0 GROUP BY kind", ct);
        foreach (var (kind, (count, _)) in failures)
            Line(text, "sae_stage_failures", $"stage=\"{Enum.Parse<StageKind>(kind).Name()}\"", count);

        Head(text, "sae_webhooks", "gauge", "Webhooks by state.");
        var webhooks = await CountsAsync(connection,
            "SELECT CASE WHEN delivered_at IS NOT NULL THEN 'delivered' WHEN gave_up_at IS NOT NULL THEN 'gave_up' ELSE 'pending' END, count(*)::float8, 0::float8 FROM webhook_deliveries GROUP BY 1", ct);
        foreach (var state in s_webhookStates)
            Line(text, "sae_webhooks", $"state=\"{state}\"", webhooks.GetValueOrDefault(state).First);
        return Microsoft.AspNetCore.Http.Results.Text(text.ToString(), "text/plain; version=0.0.4; charset=utf-8");
    }

    private static async Task<Dictionary<string, (double First, double Second)>> CountsAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var counts = new Dictionary<string, (double, double)>();
        while (await reader.ReadAsync(ct))
            counts[reader.GetString(0)] = (reader.GetDouble(1), reader.GetDouble(2));
        return counts;
    }

    private static void Head(StringBuilder text, string name, string type, string help) => text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

    private static void Line(StringBuilder text, string name, string? labels, double value) =>
        text.Append(CultureInfo.InvariantCulture, $"{name}{(labels is null ? "" : $"{{{labels}}}")} {value}\n");
}
