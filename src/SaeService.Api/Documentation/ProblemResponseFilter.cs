using System.Globalization;
using Microsoft.AspNetCore.Authorization;
using Microsoft.OpenApi;
using SaeService.Api.Problems;
using SaeService.Contracts;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace SaeService.Api.Documentation;

/// <summary>Adds each problem that an endpoint declares, and those that every endpoint shares, by status with their codes.</summary>
public sealed class ProblemResponseFilter : IOperationFilter
{
    public void Apply(OpenApiOperation operation, OperationFilterContext context)
    {
        var metadata = context.ApiDescription.ActionDescriptor.EndpointMetadata;
        var codes = metadata.OfType<ProblemMetadata>().SelectMany(m => m.Codes).ToList();
        if (!metadata.OfType<IAllowAnonymous>().Any())
            codes.AddRange([ProblemCodes.Unauthorized, ProblemCodes.RateLimited]);
        if (metadata.OfType<IAuthorizeData>().Any(a => a.Policy is not null))
            codes.Add(ProblemCodes.Forbidden);
        codes.AddRange([ProblemCodes.Internal, ProblemCodes.Unavailable]);

        var schema = context.SchemaGenerator.GenerateSchema(typeof(Problem), context.SchemaRepository);
        operation.Responses ??= [];
        foreach (var group in codes.Distinct().GroupBy(ProblemCodes.StatusOf).OrderBy(g => g.Key))
            operation.Responses[group.Key.ToString(CultureInfo.InvariantCulture)] = new OpenApiResponse
            {
                Description = string.Join("; ", group.Select(code => $"`{code}`: {ProblemCodes.TitleOf(code)}")),
                Content = new Dictionary<string, OpenApiMediaType> { [ProblemResponses.ContentType] = new OpenApiMediaType { Schema = schema } },
            };
    }
}
