using Microsoft.AspNetCore.Http.Extensions;

namespace SaeService.Api.Results;

public static class Paging
{
    /// <summary>RFC 8288: the address of the next page, with the same filters.</summary>
    public static void AddNextLink(HttpContext context, string? after)
    {
        if (after is null)
            return;
        var query = context.Request.Query.Where(q => q.Key != "after").SelectMany(q => q.Value, (q, value) => KeyValuePair.Create(q.Key, value))
            .Append(KeyValuePair.Create("after", (string?)after));
        context.Response.Headers.Link = $"<{UriHelper.BuildRelative(context.Request.PathBase, context.Request.Path)}{new QueryBuilder(query!)}>; rel=\"next\"";
    }
}
