using Microsoft.AspNetCore.Http.HttpResults;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Api.Requests;
using SaeService.Contracts;

namespace SaeService.Api.Models;

public static class ModelEndpoints
{
    public static void MapModels(this WebApplication app)
    {
        var models = app.MapGroup("/v1/models").WithTags("Models");
        models.MapGet("", (ModelCatalogue catalogue) => TypedResults.Ok(new Page<Model>(catalogue.List(), false, null))).WithName("ListModels")
            .WithSummary("Models that can be named in a job, and those that can not be used, with the reason");
        models.MapGet("/{**id}", Get).WithName("GetModel").WithSummary("A model: family, layers, width, parameters, and whether it can be used").Problems(ProblemCodes.NotFound);
        models.MapPost("", Check).WithName("CheckModel").WithSummary("Checks a model as a job would, down to the headers of its weight files; nothing of the weights is fetched")
            .Accepts<ModelRequest>("application/json").RequireAuthorization(Scopes.Submit)
            .Problems(ProblemCodes.MalformedJson, ProblemCodes.UnknownField, ProblemCodes.InvalidRequest, ProblemCodes.UnknownModel, ProblemCodes.ModelOutsideRoots,
                ProblemCodes.UnsupportedModel, ProblemCodes.InvalidModel, ProblemCodes.PickleOnlyModel, ProblemCodes.NotAvailable, ProblemCodes.HubOffline,
                ProblemCodes.HubUnauthorized, ProblemCodes.HubUnavailable, ProblemCodes.HubDamaged, ProblemCodes.HubRefused, ProblemCodes.TooLarge, ProblemCodes.UnsupportedMediaType);
    }

    private static Ok<Model> Get(string id, ModelCatalogue catalogue) =>
        TypedResults.Ok(catalogue.Find(id) ?? throw new ProblemException(ProblemCodes.NotFound, "There is no model of this name."));

    private static async Task<Ok<Model>> Check(HttpContext context, ModelCatalogue catalogue, ServiceSettings settings)
    {
        var request = await JsonBody.ReadAsync<ModelRequest>(context.Request, settings.Limits.MaxJsonBytes);
        return TypedResults.Ok(await catalogue.RequireAsync(new ModelReference(request.Id, request.Revision), "$", context.RequestAborted));
    }
}
