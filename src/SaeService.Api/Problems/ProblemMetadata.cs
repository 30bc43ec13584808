using SaeService.Contracts;

namespace SaeService.Api.Problems;

/// <summary>The problems that an endpoint may answer with, for the documentation.</summary>
public sealed record ProblemMetadata(IReadOnlyList<string> Codes);

public static class ProblemMetadataExtensions
{
    /// <summary>Documents problems of an endpoint; those that every endpoint shares are added by the documentation itself.</summary>
    public static TBuilder Problems<TBuilder>(this TBuilder builder, params string[] codes) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new ProblemMetadata(codes));

    public static ProblemException Parameter(string name, string detail) => new(ProblemCodes.InvalidParameter, detail, name);
}
