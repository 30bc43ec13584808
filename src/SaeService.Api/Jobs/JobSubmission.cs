using System.Security.Cryptography;
using System.Text.Json;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Api.Requests;
using SaeService.Contracts;
using SaeService.Queueing;

namespace SaeService.Api.Jobs;

/// <summary>The way of a request into the queue, whether a program or a page's form brings it.</summary>
public sealed class JobSubmission(RequestResolver resolver, JobEstimates estimates, JobQueue queue, ServiceSettings settings)
{
    /// <param name="idempotencyKey">Null: none was sent.</param>
    /// <exception cref="ProblemException">Whatever is wrong with the request, or one of the queue's.</exception>
    public async Task<Submission> SubmitAsync(JobRequest request, Caller caller, string? idempotencyKey, CancellationToken ct)
    {
        // Of the request as it was understood: the same members in another order or spacing are the same request.
        var idempotency = idempotencyKey is null ? null : new Idempotency(Checked(idempotencyKey), SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(request, Wire.Json)));
        if (idempotency is not null && await queue.FindReplayAsync(caller.KeyId, idempotency, ct) is { } earlier)
            return new Submission(earlier, Replayed: true);
        var resolved = await resolver.ResolveAsync(request, caller, ct);
        estimates.Require(resolved.Estimate);
        return await queue.SubmitAsync(resolved.Request, resolved.Layers, caller.KeyId, idempotency, settings.Limits.QueuedJobsPerKey, resolved.Estimate, ct);
    }

    private static string Checked(string sent)
    {
        // The draft standard has a quoted string; many clients send it bare.
        var key = sent.Trim().Trim('"');
        return key.Length is >= 1 and <= 255 && key.All(c => c is > ' ' and < '\u007f')
            ? key
            : throw ProblemMetadataExtensions.Parameter("Idempotency-Key", "must be 1 to 255 visible ASCII characters");
    }
}
