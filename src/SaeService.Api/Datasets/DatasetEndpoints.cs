using Microsoft.AspNetCore.Http.HttpResults;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Contracts;

namespace SaeService.Api.Datasets;

public static class DatasetEndpoints
{
    public static void MapDatasets(this WebApplication app)
    {
        var datasets = app.MapGroup("/v1/datasets").WithTags("Data sets");
        datasets.MapGet("", List).WithName("ListDatasets").WithSummary("Uploads of this key, what is in the operator's folders, and what the catalogue can fetch");
        datasets.MapGet("/{**id}", Get).WithName("GetDataset").WithSummary("A data set as it was understood: splits, tasks, label counts, entropies, warnings")
            .Problems(ProblemCodes.NotFound, ProblemCodes.InvalidDataset, ProblemCodes.DatasetOutsideRoots);
        datasets.MapPut("/{name}", Put).WithName("PutDataset").WithSummary("Uploads a labelled data set, or replaces one, and says what was understood of it")
            .WithDescription("The body is the file itself: CoNLL-U, CoNLL columns, JSON lines, a JSON array, Parquet, or plain text to train on; as it is, or compressed "
                + "with gzip or zstd. The format is told by format=, by the name's ending or by the first bytes. With format=annotate it is plain text to be labelled by "
                + "the annotator, where the operator has named one; a line <|endoftext|> ends a document.")
            .Accepts<Stream>("text/plain", "application/octet-stream", "application/x-ndjson", "application/json", "application/vnd.apache.parquet", "application/gzip", "application/zstd")
            .RequireAuthorization(Scopes.Submit)
            .Problems(ProblemCodes.InvalidParameter, ProblemCodes.InvalidDataset, ProblemCodes.TooLarge, ProblemCodes.Conflict, ProblemCodes.UnsupportedMediaType,
                ProblemCodes.NotAvailable, ProblemCodes.HubUnavailable, ProblemCodes.HubDamaged, ProblemCodes.HubRefused);
        datasets.MapDelete("/{name}", Delete).WithName("DeleteDataset").WithSummary("Removes an upload that no live job uses").RequireAuthorization(Scopes.Submit)
            .Problems(ProblemCodes.NotFound, ProblemCodes.Conflict);
    }

    private static async Task<Ok<Page<Dataset>>> List(HttpContext context, DatasetCatalogue catalogue) =>
        TypedResults.Ok(new Page<Dataset>(await catalogue.ListAsync(Caller.Of(context), context.RequestAborted), false, null));

    private static async Task<Ok<Dataset>> Get(string id, HttpContext context, DatasetCatalogue catalogue)
    {
        try
        {
            return TypedResults.Ok(await catalogue.RequireAsync(new DatasetReference(id), Caller.Of(context), "$", context.RequestAborted, ask: false));
        }
        catch (ProblemException e) when (e.Code == ProblemCodes.UnknownDataset)
        {
            throw new ProblemException(ProblemCodes.NotFound, e.Message);
        }
    }

    private static async Task<Results<Created<Dataset>, Ok<Dataset>>> Put(string name, HttpContext context, DatasetUpload upload, string? format = null)
    {
        var (dataset, created) = await upload.StoreAsync(name, format, context);
        return created ? TypedResults.Created($"/v1/datasets/{name}", dataset) : TypedResults.Ok(dataset);
    }

    private static async Task<NoContent> Delete(string name, HttpContext context, DatasetUpload upload)
    {
        await upload.DeleteAsync(name, Caller.Of(context), context.RequestAborted);
        return TypedResults.NoContent();
    }
}
