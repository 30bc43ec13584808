using System.Globalization;
using System.Net;
using System.Net.Mime;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using SaeService.Storage;

namespace SaeService.Api.Webhooks;

/// <summary>
/// Sends the webhooks that ended jobs have left in the database. Every Api does; a delivery is claimed by one of them for a while, and counts as
/// sent once its receiver has answered 2xx. A receiver may see a delivery twice (a sender can die between the answer and its record) and
/// knows it by its <c>webhook-id</c>.
/// </summary>
public sealed partial class WebhookSender(NpgsqlDataSource database, HttpClient http, WebhookOptions options, TimeProvider time, ILogger<WebhookSender> logger) : BackgroundService
{
    private const int MaxErrorLength = 300;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.PollInterval, time);
        try
        {
            do
            {
                try
                {
                    while (await SendDueAsync(stoppingToken) == options.Batch)
                        continue;
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    // Postgres may be away for a while; the next round finds it back.
                    RoundFailed(logger, error);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // What was being sent is claimed, and is sent again when the claim ends.
        }
    }

    /// <summary>Sends what is due, at most <see cref="WebhookOptions.Batch"/> of it.</summary>
    /// <returns>How many were attempted.</returns>
    public async Task<int> SendDueAsync(CancellationToken ct = default)
    {
        var due = await ClaimAsync(ct);
        await Task.WhenAll(due.Select(delivery => SendAsync(delivery, ct)));
        return due.Count;
    }

    private async Task<List<Delivery>> ClaimAsync(CancellationToken ct)
    {
        await using var command = database.CreateCommand(
            """
            WITH due AS MATERIALIZED (
                SELECT id FROM webhook_deliveries
                WHERE next_attempt_at <= clock_timestamp() AND delivered_at IS NULL AND gave_up_at IS NULL
                ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            UPDATE webhook_deliveries d SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + $2
            FROM due WHERE d.id = due.id RETURNING d.id, d.job_id, d.url, d.secret, d.payload, d.attempts
            """);
        command.Parameters.AddWithValue(options.Batch);
        command.Parameters.AddWithValue(options.ClaimDuration);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var due = new List<Delivery>();
        while (await reader.ReadAsync(ct))
            due.Add(new Delivery(reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetString(3), reader.GetString(4), reader.GetInt32(5)));
        return due;
    }

    private async Task SendAsync(Delivery delivery, CancellationToken ct)
    {
        var (error, final) = await PostAsync(delivery, ct);
        if (error is null)
        {
            await DeliveredAsync(delivery, ct);
            Sent(logger, delivery.Id, delivery.JobId, delivery.Attempt);
            return;
        }
        var gaveUp = await FailedAsync(delivery, error, final, ct);
        Failed(logger, gaveUp ? LogLevel.Warning : LogLevel.Information, delivery.Id, delivery.JobId, delivery.Attempt, gaveUp ? "given up" : "to be tried again", error);
    }

    /// <returns>Why the attempt failed, or null; and whether no other need be made.</returns>
    private async Task<(string? Error, bool Final)> PostAsync(Delivery delivery, CancellationToken ct)
    {
        // Again, though the request was checked: the operator may have changed what is allowed.
        if (WebhookTarget.Fault(delivery.Url, options.AllowPrivate) is { } fault)
            return ("the address " + fault, false);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url)
            {
                Content = new StringContent(delivery.Payload, Encoding.UTF8, MediaTypeNames.Application.Json),
            };
            var id = delivery.Id.ToString("D");
            var timestamp = time.GetUtcNow().ToUnixTimeSeconds();
            request.Headers.Add("User-Agent", "SaeService");
            request.Headers.Add("webhook-id", id);
            request.Headers.Add("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
            if (delivery.Secret is { } secret)
            {
                if (WebhookSignature.KeyOf(secret) is not { } key)
                    return ("the secret " + WebhookSignature.SecretForm, true);
                request.Headers.Add("webhook-signature", WebhookSignature.Sign(key, id, timestamp, delivery.Payload));
            }
            using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            return answer.StatusCode switch
            {
                >= (HttpStatusCode)200 and < (HttpStatusCode)300 => (null, false),
                HttpStatusCode.Gone => ("answered 410: it wants no more", true),
                >= (HttpStatusCode)300 and < (HttpStatusCode)400 and var status => ($"answered {(int)status}; redirects are not followed", false),
                var status => ($"answered {(int)status}", false),
            };
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return (string.Create(CultureInfo.InvariantCulture, $"did not answer within {options.Timeout.TotalSeconds} seconds"), false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Whatever it was, it is this receiver's, and holds up no other.
            return (e.GetBaseException().Message, false);
        }
    }

    // Whoever reports late, after another has claimed the delivery, changes nothing. A delivery that is done is never due, and forgets its secret.
    private async Task DeliveredAsync(Delivery delivery, CancellationToken ct)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE webhook_deliveries SET delivered_at = clock_timestamp(), next_attempt_at = 'infinity', secret = NULL, last_error = NULL
            WHERE id = $1 AND attempts = $2
            """);
        command.Parameters.AddWithValue(delivery.Id);
        command.Parameters.AddWithValue(delivery.Attempt);
        await command.ExecuteNonQueryAsync(ct);
    }

    private async Task<bool> FailedAsync(Delivery delivery, string error, bool final, CancellationToken ct)
    {
        await using var command = database.CreateCommand(
            """
            UPDATE webhook_deliveries d SET last_error = $3, secret = CASE WHEN x.over THEN NULL ELSE secret END,
                gave_up_at = CASE WHEN x.over THEN clock_timestamp() END, next_attempt_at = CASE WHEN x.over THEN 'infinity' ELSE x.next END
            FROM (SELECT id, clock_timestamp() + $4 AS next, $5 OR clock_timestamp() + $4 > created_at + $6 AS over FROM webhook_deliveries WHERE id = $1) x
            WHERE d.id = x.id AND d.attempts = $2 RETURNING x.over
            """);
        command.Parameters.AddWithValue(delivery.Id);
        command.Parameters.AddWithValue(delivery.Attempt);
        command.Parameters.AddWithValue(StorableText.Plain(error.Length <= MaxErrorLength ? error : error[..MaxErrorLength]));
        command.Parameters.AddWithValue(NpgsqlDbType.Interval, options.DelayAfter(delivery.Id, delivery.Attempt));
        command.Parameters.AddWithValue(final);
        command.Parameters.AddWithValue(NpgsqlDbType.Interval, options.GiveUpAfter);
        return await command.ExecuteScalarAsync(ct) is true;
    }

    private sealed record Delivery(Guid Id, Guid JobId, string Url, string? Secret, string Payload, int Attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A round of webhooks failed")]
    private static partial void RoundFailed(ILogger logger, Exception error);

    // Never the address: its path or query may be all that protects the receiver.
    [LoggerMessage(Level = LogLevel.Information, Message = "Webhook {DeliveryId} of {JobId} delivered at attempt {Attempt}")]
    private static partial void Sent(ILogger logger, Guid deliveryId, Guid jobId, int attempt);

    [LoggerMessage(Message = "Webhook {DeliveryId} of {JobId} failed at attempt {Attempt}, {Outcome}: {Reason}")]
    private static partial void Failed(ILogger logger, LogLevel level, Guid deliveryId, Guid jobId, int attempt, string outcome, string reason);
}
