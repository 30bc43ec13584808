using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Figures;
using SaeService.Figures.Data;
using SaeService.Figures.Painting;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>A figure that there is, and where: as a vector graphic, as a picture, and the data it is drawn from.</summary>
/// <param name="Layer">That it is of; null: of all of them.</param>
public sealed record FigureLink(string Name, string Title, string Alt, string Svg, string Png, string Json, int? Layer = null);

/// <summary>The figures of a job. Heatmaps take <c>?value=</c>, all of them <c>?theme=</c>.</summary>
/// <param name="HeatmapValues">What <c>value</c> may be.</param>
public sealed record FigureList(Guid JobId, IReadOnlyList<FigureLink> Data, IReadOnlyList<string> HeatmapValues);

/// <summary>The pictures of method section 6.</summary>
public static class FigureEndpoints
{
    private const string Svg = "image/svg+xml", Png = "image/png", Json = "application/json";

    public static void MapFigures(this RouteGroupBuilder jobs)
    {
        jobs.MapGet("/{id:guid}/figures", List).WithName("ListFigures").WithSummary("The figures of a finished job, with title, alternative text and addresses")
            .WithDescription("Beside these, every feature that fires has one: feature-LAYER-INDEX.")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
        jobs.MapGet("/{id:guid}/figures/{name}", Get).WithName("GetFigure").WithSummary("A figure as .svg or .png, or the data it is drawn from as .json")
            .WithDescription("heatmap-TASK (value: excess_f1, information, change or count), information-TASK, information-TASK-next, depth-TASK, consistency-TASK, similarity-TASK, aliases, support-TASK-LAYER, " +
                "training-LAYER, density-LAYER, feature-LAYER-INDEX. theme is light or dark. SVG keeps text as text and refers to nothing outside; PNG has two pixels for one. The same document gives the same bytes.")
            .Produces(StatusCodes.Status200OK, typeof(Stream), Svg, Png).Produces<Figure>().Produces(StatusCodes.Status304NotModified)
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
    }

    private static async Task<Results<Ok<FigureList>, StatusCodeHttpResult>> List(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await LayerEndpoints.RequireDocumentAsync(id, db, context);
        if (LayerEndpoints.NotModified(context, job, $"figures {s_build}"))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
        return TypedResults.Ok(Of(id, document));
    }

    /// <summary>Those of all layers first, then layer by layer.</summary>
    internal static FigureList Of(Guid id, LayerFunctionalityDocument document)
    {
        var links = Catalogue.Of(document).Select(f => Link(f.Name, f.Title, f.Alt, null)).ToList();
        foreach (var layer in document.Layers.Select(l => l.Layer))
        {
            links.AddRange(document.Tasks.Select(t => Link(SupportScatter.Name(t.Task, layer), SupportScatter.Title(t.Task, layer), SupportScatter.Alt, layer)));
            if (document.Provenance.Sae.Any(s => s.Layer == layer && s.Pretrained is null))
                links.Add(Link(TrainingPlots.CurveName(layer), TrainingPlots.CurveTitle(layer), TrainingPlots.CurveAlt, layer));
            links.Add(Link(TrainingPlots.DensityName(layer), TrainingPlots.DensityTitle(layer), TrainingPlots.DensityAlt, layer));
        }
        return new FigureList(id, links, Heatmap.Values);

        FigureLink Link(string name, string title, string alt, int? layer)
        {
            var address = $"/v1/jobs/{id}/figures/{Uri.EscapeDataString(name)}";
            return new FigureLink(name, title, alt, $"{address}.svg", $"{address}.png", $"{address}.json", layer);
        }
    }

    private static async Task Get(Guid id, string name, SaeDbContext db, NpgsqlDataSource database, FeatureReader features, HttpContext context,
        string theme = "light", string value = "excess_f1")
    {
        var colours = Known("theme", () => Theme.Named(theme));
        if (!Heatmap.Values.Contains(value))
            throw ProblemMetadataExtensions.Parameter("value", $"is not known; known: {string.Join(", ", Heatmap.Values)}");
        // A slash in the name of a task stays escaped on its way through the route.
        var stem = Path.ChangeExtension(name, null).Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var format = Path.GetExtension(name);
        if (format is not (".svg" or ".png" or ".json"))
            throw new ProblemException(ProblemCodes.NotFound, "A figure ends in .svg, .png or .json.");

        var figure = await MakeAsync(id, stem, value, db, database, features, context)
            ?? throw new ProblemException(ProblemCodes.NotFound, $"There is no figure {stem} of this job, or no data for it; /v1/jobs/{id}/figures lists those there are.");
        var data = JsonSerializer.SerializeToUtf8Bytes(figure, Wire.Json);
        // What is drawn follows from the data and from how this build draws.
        var tag = SHA256.HashData([.. data, .. System.Text.Encoding.UTF8.GetBytes($"{format} {theme} {s_build}")]);
        if (StoredDocument.NotModified(context, Convert.ToHexStringLower(tag)))
            return;
        var (type, bytes) = format switch
        {
            ".svg" => (Svg, FigurePainter.Svg(figure, colours)),
            ".png" => (Png, FigurePainter.Png(figure, colours)),
            _ => ($"{Json}; charset=utf-8", data),
        };
        context.Response.ContentType = type;
        context.Response.ContentLength = bytes.Length;
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private static readonly Guid s_build = typeof(FigurePainter).Assembly.ManifestModule.ModuleVersionId;

    private static async Task<Figure?> MakeAsync(Guid id, string name, string value, SaeDbContext db, NpgsqlDataSource database, FeatureReader features,
        HttpContext context)
    {
        if (Numbers(name, "feature-") is [var ofLayer, var index])
        {
            var head = await JobHead.RequireAsync(db, id, context);
            if (!head.Layers.Contains(ofLayer))
                return null;
            var model = await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => x.ModelId).SingleAsync(context.RequestAborted);
            return FeatureCard.Of(await features.DetailAsync(id, ofLayer, index, context), $"{model}.");
        }
        var job = await LayerEndpoints.RequireDocumentAsync(id, db, context);
        var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
        var source = Catalogue.SourceOf(document);
        if (Numbers(name, "training-") is [var trained] && await TrainingAsync(trained) is { } curve)
            return TrainingPlots.Curve(trained, curve, Sae(trained), source);
        if (Numbers(name, "density-") is [var dense] && await TrainingAsync(dense) is { } density)
            return TrainingPlots.Density(dense, density, Sae(dense), source);
        foreach (var task in document.Tasks.Select(t => t.Task))
            if (Numbers(name, $"support-{task}-") is [var layer] && job.Layers.Contains(layer))
            {
                var (points, total) = await PointsAsync(database, id, layer, task, context.RequestAborted);
                return SupportScatter.Of(source, task, layer, points, total, document.Provenance.Settings.Labels);
            }
        return Catalogue.Find(document, name, value);

        SaeProvenance Sae(int of) => document.Provenance.Sae.Single(s => s.Layer == of);

        async Task<SaeTraining?> TrainingAsync(int of) => await db.Layers.AsNoTracking().Where(x => x.JobId == id && x.Layer == of).Select(x => x.TrainingJson).SingleOrDefaultAsync(context.RequestAborted)
            is { } json ? JsonSerializer.Deserialize<SaeTraining>(json, Wire.Json) : null;
    }

    /// <summary>Never more than are drawn; which of them depends on nothing but the rows.</summary>
    private static async Task<(List<FeaturePoint> Points, int Total)> PointsAsync(NpgsqlDataSource database, Guid id, int layer, string task, CancellationToken ct)
    {
        await using var command = database.CreateCommand("""
            SELECT index, label, support, consistency, context_gain, consistent, total FROM (
                SELECT *, row_number() OVER (ORDER BY index) AS place, count(*) OVER () AS total FROM feature_labels WHERE job_id = $1 AND layer = $2 AND task = $3 AND support > 0) AS f
            WHERE total <= $4 OR place * $4 / total > (place - 1) * $4 / total ORDER BY index
            """);
        command.Parameters.AddWithValue(id);
        command.Parameters.AddWithValue(layer);
        command.Parameters.AddWithValue(task);
        command.Parameters.AddWithValue((long)SupportScatter.Most);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var points = new List<FeaturePoint>();
        var total = 0;
        while (await reader.ReadAsync(ct))
        {
            points.Add(new FeaturePoint(reader.GetInt32(0), reader.GetString(1), reader.GetInt32(2), reader.GetDouble(3), reader.GetDouble(4), reader.GetBoolean(5)));
            total = (int)reader.GetInt64(6);
        }
        return (points, total);
    }

    /// <returns>The numbers that follow, parted by '-'; null where it is not that.</returns>
    private static int[]? Numbers(string name, string before)
    {
        if (!name.StartsWith(before, StringComparison.Ordinal))
            return null;
        var parts = name[before.Length..].Split('-');
        return parts.All(p => int.TryParse(p, System.Globalization.NumberStyles.None, null, out _)) ? Array.ConvertAll(parts, int.Parse) : null;
    }

    private static T Known<T>(string parameter, Func<T> parse)
    {
        try
        {
            return parse();
        }
        catch (ArgumentException e)
        {
            throw ProblemMetadataExtensions.Parameter(parameter, e.Message);
        }
    }
}
