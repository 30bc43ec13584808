using System.Text;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.Logging.Abstractions;
using SaeService.Contracts;
using SaeService.Figures.Data;
using SaeService.Figures.Painting;

namespace SaeService.Api.Results.Report;

/// <summary>The whole analysis as one HTML file: works offline, runs nothing.</summary>
public static class ReportWriter
{
    public static async Task<byte[]> WriteAsync(LayerFunctionalityDocument document, IServiceProvider services)
    {
        List<(Figures.Figure, string)> figures = [.. Catalogue.Of(document).Select(f => (f, Encoding.UTF8.GetString(FigurePainter.Svg(f, Theme.Light))))];
        await using var renderer = new HtmlRenderer(services, NullLoggerFactory.Instance);
        var html = await renderer.Dispatcher.InvokeAsync(async () =>
        {
            var page = await renderer.RenderComponentAsync<ReportPage>(ParameterView.FromDictionary(new Dictionary<string, object?>
            {
                [nameof(ReportPage.Document)] = document,
                [nameof(ReportPage.Figures)] = figures,
            }));
            return page.ToHtmlString();
        });
        return Encoding.UTF8.GetBytes(html);
    }
}
