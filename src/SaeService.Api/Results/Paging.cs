using Microsoft.AspNetCore.Http.Extensions;

namespace SaeService.Api.Results;

/// <summary>RFC 8288: the addresses of the pages beside this one, with the same filters.</summary>
public static class Paging
{
    public static void AddNextLink(HttpContext context, string? after) => AddLinks(context, after, null);

    public static void AddLinks(HttpContext context, string? after, string? before)
    {
        string[] links = [.. Link("after", after, "next"), .. Link("before", before, "prev")];
        if (links.Length > 0)
            context.Response.Headers.Link = string.Join(", ", links);

        IEnumerable<string> Link(string parameter, string? cursor, string relation)
        {
            if (cursor is not null)
                yield return $"<{Address(context.Request, parameter, cursor)}>; rel=\"{relation}\"";
        }
    }

    /// <summary>The address of a page beside this one.</summary>
    /// <param name="parameter"><c>after</c> or <c>before</c>.</param>
    public static string Address(HttpRequest request, string parameter, string cursor)
    {
        var query = request.Query.Where(q => q.Key is not ("after" or "before")).SelectMany(q => q.Value, (q, value) => KeyValuePair.Create(q.Key, value))
            .Append(KeyValuePair.Create(parameter, (string?)cursor));
        return UriHelper.BuildRelative(request.PathBase, request.Path) + new QueryBuilder(query!);
    }
}
