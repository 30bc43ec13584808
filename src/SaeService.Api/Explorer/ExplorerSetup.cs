namespace SaeService.Api.Explorer;

/// <summary>
/// The pages at <c>/</c>: rendered on the server from what the API's own calls answer, with every state in the address, so that a link shows what its sender saw. Scripts
/// (<c>Explorer/Assets</c>) add what a page can not have without them: progress as it happens, uploads by dragging, an estimate before sending.
/// </summary>
public static class ExplorerSetup
{
    public static IServiceCollection AddExplorer(this IServiceCollection services)
    {
        services.AddRazorComponents();
        return services;
    }

    public static void MapExplorer(this WebApplication app)
    {
        app.UseAntiforgery();
        ExplorerAssets.Map(app);
        JobForms.Map(app);
        app.MapRazorComponents<App>().ExcludeFromDescription();
    }

    /// <summary>Whether an answer to this address is a page: the rest of the interface answers programs.</summary>
    public static bool IsPage(HttpRequest request) => !request.Path.StartsWithSegments("/v1");
}
