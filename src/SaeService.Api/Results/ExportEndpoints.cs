using System.Data;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Api.Results.Exports;
using SaeService.Api.Results.Report;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>Results as files for other tools.</summary>
public static class ExportEndpoints
{
    /// <summary>What there is, by names of the same content.</summary>
    public static IReadOnlyList<(IReadOnlyList<string> Names, string What)> Files { get; } =
    [
        (["report.html"], "The whole analysis with its figures as one file that works offline: to send to a colleague."),
        (["layers.json"], "The whole answer: what each layer does, with intervals, controls, caveats, glossary and provenance."),
        (["cells.parquet", "cells.csv"], "A row for every layer and label: status, scores, baselines, information."),
        (["features.parquet", "features.csv"], "A row for every feature and task: label, consistency, support, kind, explanation scores."),
        (["probes.parquet", "probes.csv"], "A row for every layer, task and label: information with its controls."),
        (["split.json"], "Which document is in which part: train, dev, test."),
        (["words.csv"], "Every word that was measured, and what it was used for."),
        (["alignment.csv"], "Words that were left out because their tokens could not be told, and why."),
    ];

    /// <summary>Of a layer's autoencoder, as its train stage names it.</summary>
    internal const string SaeWeights = "sae_weights.safetensors";

    /// <summary>As registered with IANA.</summary>
    private const string Parquet = "application/vnd.apache.parquet";

    public static void MapExports(this RouteGroupBuilder jobs)
    {
        jobs.MapGet("/{id:guid}/exports/{name}", Export).WithName("GetExport")
            .WithSummary("A result as a file: layers.json; features, cells or probes as .csv or .parquet; split.json, words.csv, alignment.csv; report.html")
            .WithDescription("features has a row for every feature and task, cells for every layer and label, probes for every layer, task and label. " +
                "docs/exports.md explains the columns. report.html is the whole analysis with its figures as one file that works offline.")
            .Produces(StatusCodes.Status200OK, typeof(Stream), "application/json", "text/csv", Parquet, "text/html").Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
        jobs.MapGet("/{id:guid}/layers/{layer:int}/neuronpedia", NeuronpediaUpload.Send).WithName("GetNeuronpediaUpload")
            .WithSummary("A layer's features as bodies for Neuronpedia's POST /api/feature/upload-batch: JSON Lines, at most 128 features a line")
            .WithDescription("model and source are what the features are to be called there; default: the job's model, and the layer followed by -sae. Features that fire on no word are " +
                "left out. Tokens are the words of the data set; docs/exports.md says what each member holds.")
            .Produces(StatusCodes.Status200OK, typeof(Stream), NeuronpediaUpload.ContentType).Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
        jobs.MapGet("/{id:guid}/layers/{layer:int}/sae", GetSae).WithName("GetSae")
            .WithSummary("The trained autoencoder in SAELens layout: a zip of cfg.json and sae_weights.safetensors")
            .Produces(StatusCodes.Status200OK, typeof(Stream), "application/zip").Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
    }

    private static Task Export(Guid id, string name, SaeDbContext db, NpgsqlDataSource database, ArtifactStore artifacts, HttpContext context)
    {
        return name switch
        {
            "layers.json" => SendDocumentAsync(id, db, database, context),
            "features.csv" or "features.parquet" => SendAsync(ResultTables.Features, head => FeaturesAsync(head, database, context.RequestAborted)),
            "cells.csv" or "cells.parquet" => SendAsync(ResultTables.Cells, head => RowsAsync(head, ResultTables.CellsOf)),
            "probes.csv" or "probes.parquet" => SendAsync(ResultTables.Probes, head => RowsAsync(head, ResultTables.ProbesOf)),
            "split.json" => SendArtifactAsync(id, StageKind.Prepare, name, "application/json", db, artifacts, context),
            "alignment.csv" => SendArtifactAsync(id, StageKind.Prepare, name, "text/csv; charset=utf-8; header=present", db, artifacts, context),
            "report.html" => SendReportAsync(id, db, database, context),
            "words.csv" => SendArtifactAsync(id, StageKind.Inform, name, "text/csv; charset=utf-8; header=present", db, artifacts, context),
            _ => throw new ProblemException(ProblemCodes.NotFound, $"There is no export of this name; there are {string.Join(", ", Files.SelectMany(file => file.Names))}."),
        };

        async Task SendAsync<T>(ExportTable<T> table, Func<JobHead, IAsyncEnumerable<T>> rows)
        {
            var job = await LayerEndpoints.RequireDocumentAsync(id, db, context);
            if (LayerEndpoints.NotModified(context, job, name))
                return;
            var parquet = name.EndsWith(".parquet", StringComparison.Ordinal);
            context.Response.ContentType = parquet ? Parquet : "text/csv; charset=utf-8; header=present";
            context.Response.Headers.ContentDisposition = $"attachment; filename=\"{name}\"";
            if (parquet)
                await table.WriteParquetAsync(rows(job), context.Response.Body, context.RequestAborted);
            else
                await table.WriteCsvAsync(rows(job), context.Response.Body, context.RequestAborted);
        }

        async IAsyncEnumerable<T> RowsAsync<T>(JobHead job, Func<LayerFunctionalityDocument, IEnumerable<T>> of)
        {
            foreach (var row in of(await StoredDocument.ReadAsync(database, job, context.RequestAborted)))
                yield return row;
        }
    }

    private static async Task SendDocumentAsync(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await LayerEndpoints.RequireDocumentAsync(id, db, context);
        await StoredDocument.SendAsync(database, job, context, "layers.json");
    }

    private static async Task SendReportAsync(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await LayerEndpoints.RequireDocumentAsync(id, db, context);
        if (LayerEndpoints.NotModified(context, job, $"report {typeof(ReportWriter).Assembly.ManifestModule.ModuleVersionId}"))
            return;
        var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
        var report = await ReportWriter.WriteAsync(document, context.RequestServices);
        context.Response.ContentType = "text/html; charset=utf-8";
        context.Response.ContentLength = report.Length;
        context.Response.Headers.ContentDisposition = "inline; filename=\"report.html\"";
        await context.Response.Body.WriteAsync(report, context.RequestAborted);
    }

    /// <summary>A file that a stage published, as it is.</summary>
    private static async Task SendArtifactAsync(Guid id, StageKind stage, string name, string contentType, SaeDbContext db, ArtifactStore artifacts, HttpContext context)
    {
        var job = await JobHead.RequireAsync(db, id, context);
        // Where the stage has one run a layer, the file is of the layer that all others follow.
        int? layer = stage == StageKind.Inform ? StagePlan.ReferenceLayer(job.Layers) : null;
        await job.RequireStageAsync(db, stage, layer, context.RequestAborted);
        var artifact = await FindAsync(db, id, stage, layer, name, context.RequestAborted);
        if (StoredDocument.NotModified(context, artifact.Sha256))
            return;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = artifact.Bytes;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"{name}\"";
        await using var file = artifacts.Open(artifact.Key);
        await file.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    /// <summary>Row by row from the database, never all of them.</summary>
    private static async IAsyncEnumerable<FeatureExport> FeaturesAsync(JobHead job, NpgsqlDataSource database, [EnumeratorCancellation] CancellationToken ct)
    {
        await using var command = database.CreateCommand("SELECT layer, summary FROM feature_labels WHERE job_id = $1 ORDER BY layer, task COLLATE \"C\", index");
        command.Parameters.AddWithValue(job.Id);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, ct);
        while (await reader.ReadAsync(ct))
            yield return new FeatureExport(reader.GetInt32(0), JsonSerializer.Deserialize<FeatureSummary>(reader.GetString(1), Wire.Json)!);
    }

    /// <param name="variant">Of <c>sae.variants</c>, from 1; 0: the layer's own.</param>
    private static async Task GetSae(Guid id, int layer, SaeDbContext db, ArtifactStore artifacts, HttpContext context, string? format = null, int variant = 0)
    {
        if (format is not (null or "saelens"))
            throw ProblemMetadataExtensions.Parameter("format", "is not known; known: saelens");
        if (variant < 0)
            throw ProblemMetadataExtensions.Parameter("variant", "must be 0, the layer's own, or the number of one of sae.variants");
        var ct = context.RequestAborted;
        var job = await JobHead.RequireAsync(db, id, context);
        job.RequireLayer(layer);
        await job.RequireStageAsync(db, StageKind.Train, layer, ct);
        var files = new List<ArtifactRow>();
        string[] names = ["cfg.json", SaeWeights];
        foreach (var name in names)
            files.Add(await FindAsync(db, id, StageKind.Train, layer, variant == 0 ? name : $"variant-{variant}.{name}", ct));
        if (StoredDocument.NotModified(context, files[1].Sha256))
            return;
        context.Response.ContentType = "application/zip";
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"sae-layer-{layer}{(variant == 0 ? "" : $"-variant-{variant}")}.zip\"";
        // The archive writes its small headers synchronously; the weights go the other way.
        context.Features.GetRequiredFeature<IHttpBodyControlFeature>().AllowSynchronousIO = true;
        await using var zip = await ZipArchive.CreateAsync(context.Response.Body, ZipArchiveMode.Create, leaveOpen: true, entryNameEncoding: null, ct);
        foreach (var (name, file) in names.Zip(files))
        {
            var entry = zip.CreateEntry(name, CompressionLevel.NoCompression); // weights do not compress
            entry.LastWriteTime = file.CreatedAt;
            await using var target = await entry.OpenAsync(ct);
            await using var source = artifacts.Open(file.Key);
            await source.CopyToAsync(target, ct);
        }
    }

    private static async Task<ArtifactRow> FindAsync(SaeDbContext db, Guid job, StageKind stage, int? layer, string name, CancellationToken ct) =>
        await db.Artifacts.AsNoTracking().Where(x => x.JobId == job && x.Stage == stage && x.Layer == layer && x.Name == name)
            .OrderByDescending(x => x.Attempt).FirstOrDefaultAsync(ct)
        ?? throw new ProblemException(ProblemCodes.NotFound, $"Job {job} has not kept {name}.");
}
