namespace SaeService.Api.Operations;

/// <summary>What there is, for someone who opens the address in a browser.</summary>
public static class LandingPage
{
    public static void MapLandingPage(this WebApplication app) => app.MapGet("/", () => TypedResults.Text("""
        <!doctype html><html lang="en"><meta charset="utf-8"><title>SaeService</title>
        <body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 4em auto">
        <h1>SaeService</h1>
        <p>What does each layer of a language model do? POST a model and a labelled data set to <code>/v1/jobs</code>.</p>
        <ul>
        <li><a href="swagger/">The interface</a>, with examples that run as they stand (<a href="openapi.json">OpenAPI</a>)</li>
        <li><a href="v1/jobs">Jobs</a>, <a href="v1/models">models</a>, <a href="v1/datasets">data sets</a></li>
        <li><a href="hangfire">The queue</a> (administrators)</li>
        <li><a href="healthz/ready">Health</a>, <a href="metrics">metrics</a></li>
        </ul></body></html>
        """, "text/html; charset=utf-8")).ExcludeFromDescription();
}
