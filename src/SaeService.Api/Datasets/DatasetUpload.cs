using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Api.Datasets;

/// <summary>
/// Takes an upload: the body is streamed to disk, then read once from there. It becomes a data set only when all of it was understood; otherwise
/// nothing of it is kept.
/// </summary>
public sealed partial class DatasetUpload(ServiceSettings settings, DatasetCatalogue catalogue, ArtifactStore artifacts, IDbContextFactory<SaeDbContext> contexts, TimeProvider time, Annotator? annotator = null)
{
    /// <summary>In the artifact store: one folder an upload in it, named by its id.</summary>
    public const string Folder = "datasets";
    private static readonly JobStatus[] s_live = [JobStatus.Queued, JobStatus.Running, JobStatus.Cancelling];

    /// <summary>Plain text, uncompressed, which the annotator is asked for labels of.</summary>
    private const string Annotate = "annotate";
    private static readonly Dictionary<string, string> s_extensions = new()
    {
        ["conllu"] = ".conllu",
        ["conll"] = ".conll",
        ["jsonl"] = ".jsonl",
        ["json"] = ".json",
        ["parquet"] = ".parquet",
        ["text"] = ".text",
        [Annotate] = ".plain",
    };

    /// <param name="format">
    /// conllu, conll, jsonl, json, parquet or text; null: by the name's ending, or the first bytes. The body may be compressed. annotate: text whose labels are to be made.
    /// </param>
    /// <returns>The data set, and whether its name is new.</returns>
    /// <exception cref="ProblemException">invalid_parameter, conflict, payload_too_large, or invalid_dataset with the line.</exception>
    public async Task<(Dataset Dataset, bool Created)> StoreAsync(string name, string? format, HttpContext context)
    {
        var ct = context.RequestAborted;
        var caller = Caller.Of(context);
        if (!NamePattern().IsMatch(name) || Path.GetExtension(name).ToLowerInvariant() is ".gz" or ".zst")
            throw ProblemMetadataExtensions.Parameter("name", "must be 1 to 100 letters, digits, '.', '_' or '-', beginning with a letter or digit, and not end in .gz or .zst");
        if (format is not null && !s_extensions.ContainsKey(format))
            throw ProblemMetadataExtensions.Parameter("format", $"is not known; known: {string.Join(", ", s_extensions.Keys)}");
        if (format == Annotate && annotator is null)
            throw new ProblemException(ProblemCodes.NotAvailable, "This service has no annotator (Annotator:Url), so text must bring its labels with it.");
        if (catalogue.IsOperators(name))
            throw new ProblemException(ProblemCodes.Conflict, $"'{name}' is a data set of the operator; choose another name.");
        await RequireUnusedAsync(name, caller.KeyId, ct);

        var id = Guid.CreateVersion7();
        var folder = $"{Folder}/{id:D}";
        try
        {
            var stored = await ReceiveAsync($"{folder}/{name}{(format is null ? "" : s_extensions[format])}", context);
            var warning = (string?)null;
            if (format == Annotate)
                (stored, warning) = await AnnotateAsync(name, stored, folder, ct);
            var dataset = await UnderstandAsync(name, stored, ct);
            if (warning is not null)
                dataset = dataset with { Warnings = [warning, .. dataset.Warnings] };
            return await PublishAsync(id, name, caller.KeyId, stored, dataset, ct);
        }
        catch
        {
            artifacts.DeletePrefix(folder);
            throw;
        }
    }

    /// <exception cref="ProblemException">not_found, or conflict: a live job uses it, or it is the operator's.</exception>
    public async Task DeleteAsync(string name, Caller caller, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var row = await db.Datasets.SingleOrDefaultAsync(x => x.Name == name && x.ApiKeyId == caller.KeyId, ct);
        if (row is null)
            throw catalogue.IsOperators(name)
                ? new ProblemException(ProblemCodes.Conflict, $"'{name}' is a data set of the operator, and not of an upload; it can not be deleted here.")
                : new ProblemException(ProblemCodes.NotFound, $"There is no uploaded data set '{name}'.");
        await RequireUnusedAsync(name, caller.KeyId, ct);
        db.Datasets.Remove(row);
        await db.SaveChangesAsync(ct);
        artifacts.DeletePrefix(FolderOf(row.Key));
    }

    private async Task<StoredArtifact> ReceiveAsync(string key, HttpContext context)
    {
        var limit = settings.Limits.MaxUploadBytes;
        ProblemException TooLarge() => new(ProblemCodes.TooLarge, $"A data set of at most {limit} bytes can be uploaded.");
        if (context.Request.ContentLength > limit)
            throw TooLarge();
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null; // counted here
        using var writer = artifacts.Create(key);
        var buffer = new byte[1 << 16];
        long received = 0;
        while (await context.Request.Body.ReadAsync(buffer, context.RequestAborted) is > 0 and var count)
        {
            received += count;
            if (received > limit)
                throw TooLarge();
            await writer.Stream.WriteAsync(buffer.AsMemory(0, count), context.RequestAborted);
        }
        if (received == 0)
            throw new ProblemException(ProblemCodes.InvalidDataset, "The body is empty.");
        return writer.Complete();
    }

    /// <summary>The text's place is taken by its CoNLL-U.</summary>
    private async Task<(StoredArtifact, string)> AnnotateAsync(string name, StoredArtifact text, string folder, CancellationToken ct)
    {
        try
        {
            using var writer = artifacts.Create($"{folder}/{name}.conllu");
            AnnotationReport report;
            using (var reader = new StreamReader(artifacts.Open(text.Key), new UTF8Encoding(false, throwOnInvalidBytes: true)))
            using (var conllu = new StreamWriter(writer.Stream, new UTF8Encoding(false), leaveOpen: true))
                report = await annotator!.AnnotateAsync(name, reader, conllu, ct);
            artifacts.Delete(text.Key);
            return (writer.Complete(), $"labels were made by a program ({report.Model}), not by people: what a layer knows of them is what it shares with that program");
        }
        catch (SourceException e)
        {
            throw SourceProblems.Of(e, RepoKind.Dataset, "$");
        }
        catch (DecoderFallbackException e)
        {
            throw new ProblemException(ProblemCodes.InvalidDataset, "The text is not UTF-8.", inner: e);
        }
    }

    private async Task<Dataset> UnderstandAsync(string name, StoredArtifact stored, CancellationToken ct)
    {
        try
        {
            var dataset = await Task.Run(() => DatasetCatalogue.Describe(name, "upload", DatasetFolder.Open(artifacts.Path(stored.Key)), ct), ct);
            if (dataset.Tasks.Count == 0 && dataset.FurtherTasks.All(t => t.BuiltIn) && dataset.Words > 0)
                throw new ProblemException(ProblemCodes.InvalidDataset, "No word has a label of any task.");
            return dataset with { CreatedAt = time.GetUtcNow(), Sha256 = stored.Sha256 };
        }
        catch (CorpusException e)
        {
            throw new ProblemException(ProblemCodes.InvalidDataset, e.Message, inner: e);
        }
    }

    private async Task<(Dataset, bool)> PublishAsync(Guid id, string name, Guid? owner, StoredArtifact stored, Dataset dataset, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var before = await db.Datasets.SingleOrDefaultAsync(x => x.Name == name && x.ApiKeyId == owner, ct);
        if (before is not null)
            db.Datasets.Remove(before);
        db.Datasets.Add(new DatasetRow
        {
            Id = id,
            Name = name,
            ApiKeyId = owner,
            Key = stored.Key,
            Format = dataset.Format!,
            Bytes = stored.Bytes,
            Sha256 = stored.Sha256,
            StatisticsJson = JsonSerializer.Serialize(dataset, Wire.Json),
            CreatedAt = dataset.CreatedAt!.Value,
        });
        try
        {
            await db.SaveChangesAsync(ct);
        }
        catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            throw new ProblemException(ProblemCodes.Conflict, $"Another upload of '{name}' ended at the same time; look at it, and try again.", inner: e);
        }
        if (before is not null)
            artifacts.DeletePrefix(FolderOf(before.Key));
        return (dataset, before is null);
    }

    private async Task RequireUnusedAsync(string name, Guid? owner, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var user = await db.Jobs.Where(x => x.DatasetId == name && x.ApiKeyId == owner && s_live.Contains(x.Status)).Select(x => (Guid?)x.Id).FirstOrDefaultAsync(ct);
        if (user is not null)
            throw new ProblemException(ProblemCodes.Conflict, $"Job {user} uses '{name}'; wait for its end, or cancel it.");
    }

    private static string FolderOf(string key) => key[..key.LastIndexOf('/')];

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\z")]
    private static partial Regex NamePattern();
}
