using System.Net;
using System.Text;
using System.Xml.Linq;
using SaeService.Api.Results;
using SaeService.Contracts;
using SaeService.Figures;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class FigureTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private const string Hostile = "<script>alert('x')</script>";
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_figure_that_is_listed_is_there_as_vector_graphic_picture_and_data()
    {
        var job = await FinishedAsync();
        var list = await ApiFixture.ReadAsync<FigureList>(await api.Submitter.GetAsync(job.Urls.Self + "/figures", Ct));
        Assert.Contains(list.Data, f => f.Name == "heatmap-pos" && f.Alt.Contains("established", StringComparison.Ordinal));
        foreach (var name in new[] { "support-pos-2", "training-0", "density-1" })
            Assert.Contains(list.Data, f => f.Name == name);
        foreach (var figure in list.Data)
        {
            using var svg = await GetAsync(figure.Svg, "image/svg+xml");
            var root = XDocument.Parse(await svg.Content.ReadAsStringAsync(Ct)).Root!;
            Assert.Equal(figure.Title, root.Elements().First(e => e.Name.LocalName == "title").Value);
            using var png = await GetAsync(figure.Png, "image/png");
            Assert.Equal("PNG", Encoding.ASCII.GetString((await png.Content.ReadAsByteArrayAsync(Ct)).AsSpan(1, 3)));
            using var json = await GetAsync(figure.Json, "application/json");
            Assert.Equal(figure.Name, (await ApiFixture.ReadAsync<Figure>(json)).Name);

            var request = new HttpRequestMessage(HttpMethod.Get, figure.Svg);
            request.Headers.IfNoneMatch.Add(svg.Headers.ETag!);
            Assert.Equal(HttpStatusCode.NotModified, (await api.Submitter.SendAsync(request, Ct)).StatusCode);
        }
    }

    [Fact]
    public async Task A_theme_and_a_value_change_the_picture_and_its_tag()
    {
        var job = await FinishedAsync();
        var answers = new List<HttpResponseMessage>();
        foreach (var query in new[] { "", "?theme=dark", "?value=information", "?value=count" })
            answers.Add(await GetAsync($"{job.Urls.Self}/figures/heatmap-pos.svg{query}", "image/svg+xml"));
        Assert.Equal(4, answers.Select(a => a.Headers.ETag!.Tag).Distinct().Count());
        var information = await ApiFixture.ReadAsync<Figure>(await GetAsync(job.Urls.Self + "/figures/heatmap-pos.json?value=information", "application/json"));
        Assert.Equal(0.4, information.Panels.Single().Grid!.Values[0][1]);
    }

    [Fact]
    public async Task A_feature_has_a_figure_as_soon_as_its_layer_is_labelled()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.LabelAsync(api, job, [1]);
        var figure = await ApiFixture.ReadAsync<Figure>(await GetAsync(job.Urls.Self + "/figures/feature-1-3.json", "application/json"));
        // Stacked by label, so that the last one ends where the histogram does.
        Assert.Equal([5.0, 3], figure.Panels.Single().Series[^1].Y.Select(y => y!.Value));
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Self + "/figures/feature-2-3.svg", Ct), ProblemCodes.NotReady);
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Self + "/figures/heatmap-pos.svg", Ct), ProblemCodes.NotReady);
    }

    [Fact]
    public async Task What_there_is_not_is_not_found_and_what_is_not_known_is_named()
    {
        var job = await FinishedAsync();
        foreach (var missing in new[] { "heatmap-mood.svg", "heatmap-pos", "heatmap-pos.gif", "feature-9-0.svg", "feature-1-999.svg", "feature-1.svg", "support-pos-9.svg", "training-9.svg", "support-mood-1.svg", "information-pos.svg",
            "training-99999999999999999999.svg", "..%2F..%2Fx.svg" })
            await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"{job.Urls.Self}/figures/{missing}", Ct), ProblemCodes.NotFound);
        foreach (var query in new[] { "theme=sepia", "value=beauty" })
            Assert.Contains("known", (await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"{job.Urls.Self}/figures/heatmap-pos.svg?{query}", Ct), ProblemCodes.InvalidParameter)).Errors!.Single().Value.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_report_is_one_file_that_runs_and_fetches_nothing_whatever_labels_are()
    {
        var job = await FinishedAsync();
        using var answer = await GetAsync(job.Urls.Self + "/exports/report.html", "text/html");
        var html = await answer.Content.ReadAsStringAsync(Ct);
        Assert.StartsWith("<!DOCTYPE html>", html.TrimStart(), StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(@"<[^>]*\s(on\w+|src|href)\s*=\s*(?!""#)", html.Replace("xmlns", "", StringComparison.Ordinal));
        Assert.DoesNotContain("@import", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("&lt;script&gt;", html, StringComparison.Ordinal);
        Assert.Contains("Nothing of note, and more.", html, StringComparison.Ordinal);
        Assert.Contains("0.60 [0.50, 0.70]", html, StringComparison.Ordinal);
        Assert.Contains("correlational only", html, StringComparison.Ordinal);
        Assert.Contains("how many of the words", html, StringComparison.Ordinal);
        Assert.Contains("<svg", html, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", html, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> GetAsync(string address, string type)
    {
        var answer = await api.Submitter.GetAsync(address, Ct);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{address}: {await answer.Content.ReadAsStringAsync(Ct)}");
        Assert.Equal(type, answer.Content.Headers.ContentType!.MediaType);
        return answer;
    }

    /// <summary>A job with a few cells, one of a label that means harm.</summary>
    private async Task<Job> FinishedAsync()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job, document => document with
        {
            Caveats = ["correlational only"],
            Glossary = new Dictionary<string, string> { ["recall"] = "how many of the words are found" },
            Tasks = [document.Tasks[0] with { Profiles = [document.Tasks[0].Profiles[0], document.Tasks[0].Profiles[0] with { Label = Hostile }] }],
            Layers = [.. document.Layers.Select(layer => layer with
            {
                Summary = new LayerSummary("Nothing of note, and more.", "low", []),
                Functionalities = layer.Layer == 1 ? [Established] : [],
                Cells = [Cell("NOUN", CellStatus.NotEstablished), Cell(Hostile, layer.Layer == 1 ? CellStatus.Established : CellStatus.Suggestive)],
            })],
        });
        return job;
    }

    private static LabelCell Cell(string label, CellStatus status) => new("pos", label, status, 0.6, 0.3, 4, 0.2, 0.4, 77, null);

    private static Functionality Established { get; } = new()
    {
        Task = "pos",
        Label = Hostile,
        Aliases = [],
        Status = CellStatus.Established,
        Rank = 1,
        FailedGates = [],
        Encodes = new Encodes(0.6, [0.5, 0.7], 0.5, 0.8, new GatingBaselines(0.1, 0.3), new Estimate(0.3, [0.2, 0.4])),
        Distinguishes = new Distinguishes(0.1, [0, 0.2], null, null),
        Information = new CellInformation(0.2, 0.4, null),
        Features = new CellFeatures(4, 1, 3, 0, 0.1),
    };
}
