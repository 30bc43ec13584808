using System.Data;
using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Net.Http.Headers;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>The layer-functionality document as the job stored it: UTF-8 JSON, which never changes once it is there.</summary>
public static class StoredDocument
{
    private const long MostParsedBytes = 64 << 20;

    // Pages ask for the same few documents again and again. The size is that of the JSON; a document that is larger than all of it is parsed each time.
    private static readonly MemoryCache s_parsed = new(new MemoryCacheOptions { SizeLimit = MostParsedBytes });

    /// <summary>Streams the stored bytes. Their SHA-256 is the ETag; <c>If-None-Match</c> answers 304.</summary>
    public static async Task SendAsync(NpgsqlDataSource database, JobHead job, HttpContext context, string? downloadName = null)
    {
        if (NotModified(context, job.DocumentSha256!))
            return;
        await using var command = Command(database, job.Id);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, context.RequestAborted);
        await reader.ReadAsync(context.RequestAborted);
        context.Response.ContentType = "application/json; charset=utf-8";
        if (downloadName is not null)
            context.Response.Headers.ContentDisposition = $"attachment; filename=\"{downloadName}\"";
        await using var bytes = await reader.GetStreamAsync(0, context.RequestAborted);
        context.Response.ContentLength = bytes.Length;
        await bytes.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    /// <returns>Shared by all who ask for it: not to be changed.</returns>
    public static async Task<LayerFunctionalityDocument> ReadAsync(NpgsqlDataSource database, JobHead job, CancellationToken ct)
    {
        if (s_parsed.Get<LayerFunctionalityDocument>(job.DocumentSha256!) is { } parsed)
            return parsed;
        await using var command = Command(database, job.Id);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, ct);
        await reader.ReadAsync(ct);
        await using var bytes = await reader.GetStreamAsync(0, ct);
        var size = bytes.Length;
        parsed = (await JsonSerializer.DeserializeAsync<LayerFunctionalityDocument>(bytes, Wire.Json, ct))!;
        s_parsed.Set(job.DocumentSha256!, parsed, new MemoryCacheEntryOptions { Size = size, SlidingExpiration = TimeSpan.FromMinutes(10) });
        return parsed;
    }

    /// <summary>Sets the headers of a result that never changes, and answers 304 where the client has it.</summary>
    /// <param name="hash">Of the content, in hex.</param>
    public static bool NotModified(HttpContext context, string hash)
    {
        var tag = new EntityTagHeaderValue($"\"{hash}\"");
        context.Response.GetTypedHeaders().ETag = tag;
        context.Response.Headers.CacheControl = "private, no-cache"; // kept, and asked about each time: a retry may bring another
        if (!context.Request.GetTypedHeaders().IfNoneMatch.Any(candidate => candidate.Compare(tag, useStrongComparison: false) || candidate.Tag == "*"))
            return false;
        context.Response.StatusCode = StatusCodes.Status304NotModified;
        return true;
    }

    private static NpgsqlCommand Command(NpgsqlDataSource database, Guid id)
    {
        var command = database.CreateCommand("SELECT document FROM jobs WHERE id = $1 AND document IS NOT NULL");
        command.Parameters.AddWithValue(id);
        return command;
    }
}
