using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Explorer;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>Pages about results, as far as they can be told without a browser.</summary>
public sealed class ResultPageTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static readonly string[] s_pages = ["layers", "layers/1", "layers/1/features", "layers/1/features/0", "figures"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Until_results_are_there_pages_say_how_far_the_job_is_and_what_can_be_looked_at()
    {
        var job = await api.SubmitAsync();
        foreach (var page in s_pages)
        {
            var html = await PageAsync(job, page);
            Assert.Contains("id=\"not-ready\"", html, StringComparison.Ordinal);
            Assert.Contains($"href=\"/jobs/{job.Id}\"", html, StringComparison.Ordinal);
            Assert.DoesNotContain("What is there already", html, StringComparison.Ordinal);
        }

        await FinishedJob.LabelAsync(api, job, [1]);
        Assert.Contains("id=\"features\"", await PageAsync(job, "layers/1/features"), StringComparison.Ordinal);
        Assert.Contains("id=\"card\"", await PageAsync(job, "layers/1/features/0"), StringComparison.Ordinal);
        foreach (var page in new[] { "layers", "layers/1", "layers/2/features", "figures" })
        {
            var html = await PageAsync(job, page);
            Assert.Contains($"href=\"/jobs/{job.Id}/layers/1/features\"", html, StringComparison.Ordinal);
            Assert.DoesNotContain($"href=\"/jobs/{job.Id}/layers/2/features\"", html, StringComparison.Ordinal);
        }

        await using var db = api.Database();
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Failed)
            .SetProperty(x => x.ErrorJson, """{"type":"urn:sae:problem:worker_lost","title":"The worker was lost","status":500,"code":"worker_lost","detail":"three <b>workers</b> died","remedy":"give it memory"}"""), Ct);
        var failed = await PageAsync(job, "layers");
        Assert.Contains("three &lt;b&gt;workers&lt;/b&gt; died", failed, StringComparison.Ordinal);
        Assert.Contains("give it memory", failed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_of_anothers_job_and_of_layers_it_does_not_have_are_not_there()
    {
        var job = await FinishedAsync();
        foreach (var page in s_pages)
        {
            Assert.Equal(HttpStatusCode.OK, (await SendAsync(api.Submitter, job, page)).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(api.Other, job, page)).StatusCode);
            if (page.Contains("layers/1", StringComparison.Ordinal))
                Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(api.Submitter, job, page.Replace("layers/1", "layers/7", StringComparison.Ordinal))).StatusCode);
        }
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(api.Submitter, job, "layers/1/features/128")).StatusCode);
    }

    [Theory]
    [InlineData("layers?value=beauty", "value")]
    [InlineData("layers?sort=beauty", "sort")]
    [InlineData("layers?task=mood", "task")]
    [InlineData("layers/1/features?min_support=many", "min_support")]
    [InlineData("layers/1/features?min_f1=high", "min_f1")]
    [InlineData("layers/1/features?consistent=perhaps", "consistent")]
    [InlineData("layers/1/features?sort=beauty", "sort")]
    [InlineData("layers/1/features?after=AAAA", "after")]
    [InlineData("figures?layer=7", "layer")]
    [InlineData("figures?layer=x", "layer")]
    public async Task A_wrong_parameter_is_named_on_a_page(string address, string name)
    {
        using var answer = await SendAsync(api.Submitter, await FinishedAsync(), address);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains($"<code>{name}</code>", await answer.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Empty_fields_of_the_form_choose_nothing_and_what_finds_nothing_says_what_to_loosen()
    {
        var job = await FinishedAsync();
        Assert.Contains("24 rows", await PageAsync(job, "layers/1/features?q=&task=&label=&kind=&consistent=&min_support=&min_consistency=&min_f1=&sort=consistency_lower&order="), StringComparison.Ordinal);
        var html = await PageAsync(job, "layers/1/features?task=pos&label=NOUN&min_f1=0.99&sort=f1");
        Assert.Contains("id=\"empty\"", html, StringComparison.Ordinal);
        var path = $"/jobs/{job.Id}/layers/1/features";
        string[] without = [$"{path}?label=NOUN&amp;min_f1=0.99&amp;sort=f1", $"{path}?task=pos&amp;min_f1=0.99&amp;sort=f1", $"{path}?task=pos&amp;label=NOUN&amp;sort=f1"];
        Assert.All(without, address => Assert.Contains($"href=\"{address}\"", html, StringComparison.Ordinal));
        Assert.Contains("6 rows", await PageAsync(job, "layers/1/features?task=pos&label=NOUN&sort=f1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_of_features_lead_through_all_of_them_and_back()
    {
        var job = await FinishedAsync();
        var seen = new List<string>();
        var address = $"/jobs/{job.Id}/layers/1/features?limit=5&sort=index";
        var pages = new Stack<string>();
        for (var next = address; next is not null; next = Link(pages.Peek(), "next"))
        {
            var html = await PageAsync(next);
            seen.AddRange(Regex.Matches(html, @"<th scope=""row""><a href=""[^""]*/features/(\d+)""").Select(m => m.Groups[1].Value));
            pages.Push(html);
            Assert.True(pages.Count <= 5);
        }
        Assert.Equal(Enumerable.Range(0, 12).SelectMany(i => new[] { $"{i}", $"{i}" }), seen);
        Assert.Null(Link(pages.Last(), "prev"));
        Assert.Contains("/features/11\"", pages.Peek(), StringComparison.Ordinal);
        var last = pages.Pop();
        Assert.Contains("24 rows", await PageAsync(Link(last, "prev")!), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_of_corpora_and_vocabularies_is_shown_and_does_nothing()
    {
        var job = await FinishedAsync();
        const string Word = "<script>alert(1)</script>";
        var context = new ActivatingContext($"{Word} \u202Eevil 猫が好き", [Word, "\u202Eevil", "猫", "が", "好き"], 0, 2, [2, 0, 1, 0, 0], new Dictionary<string, string?> { ["pos"] = "<i>X</i>" }, "s1");
        await using var db = api.Database();
        await db.Features.Where(x => x.JobId == job.Id && x.Layer == 1 && x.Index == 0).ExecuteUpdateAsync(set => set
            .SetProperty(x => x.ContextsJson, JsonSerializer.Serialize(new[] { context }, Wire.Json))
            .SetProperty(x => x.PromotedJson, JsonSerializer.Serialize(new[] { new TokenEffect("\"><img src=x>\n", 1.5) }, Wire.Json)), Ct);
        var html = await PageAsync(job, "layers/1/features/0");
        Assert.DoesNotContain("<script>alert", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<img src=x", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<i>X", html, StringComparison.Ordinal);
        Assert.DoesNotContain('\u202E', html);
        var text = WebUtility.HtmlDecode(Regex.Replace(html, "<[^>]*>", ""));
        // As it was written: no blanks come between words that had none.
        Assert.Contains($"{Word} ⟨U+202E⟩evil 猫が好き", text, StringComparison.Ordinal);
        Assert.Contains("\"><img␣src=x>⏎", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_feature_is_shown_at_every_strength_and_its_neighbours_are_found_when_asked_for()
    {
        var job = await FinishedAsync();
        var html = await PageAsync(job, "layers/1/features/3");
        Assert.Equal(2, Regex.Count(html, "<summary>"));
        Assert.Contains("1.00 to 2.00: 3 words", html, StringComparison.Ordinal);
        Assert.Contains("data-lazy", html, StringComparison.Ordinal);
        Assert.Contains($"href=\"/jobs/{job.Id}/layers/1/features/3?neighbours=true#alike\"", html, StringComparison.Ordinal);
        Assert.DoesNotContain("neighbours-table", html, StringComparison.Ordinal);
        Assert.DoesNotContain("From strong to weak", await PageAsync(job, "layers/1/features/0"), StringComparison.Ordinal); // of an older version

        html = await PageAsync(job, "layers/1/features/3?neighbours=true");
        Assert.DoesNotContain("data-lazy", html, StringComparison.Ordinal);
        var table = html[html.IndexOf("neighbours-table", StringComparison.Ordinal)..];
        foreach (var layer in new[] { 0, 1, 2 })
            Assert.Equal(5, Regex.Count(table, $"href=\"/jobs/{job.Id}/layers/{layer}/features/\\d+\""));
    }

    [Fact]
    public async Task The_gallery_has_every_figure_that_there_is()
    {
        var job = await FinishedAsync(Measured);
        using var answer = await api.Submitter.GetAsync($"{job.Urls.Self}/figures", Ct);
        var list = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Ct)).RootElement.GetProperty("data").EnumerateArray().ToList();
        var shown = "";
        foreach (var page in new[] { "figures", "figures?layer=0", "figures?layer=1", "figures?layer=2" })
            shown += await PageAsync(job, page);
        Assert.NotEmpty(list);
        Assert.All(list, figure => Assert.Contains($"src=\"{figure.GetProperty("svg").GetString()}\"", shown, StringComparison.Ordinal));
        Assert.Equal(list.Count, Regex.Count(shown, "<img [^>]*src=\"/v1/"));
    }

    [Fact]
    public async Task A_latent_that_never_fires_has_a_page_that_says_so()
    {
        var job = await FinishedAsync();
        Assert.Contains("never fires", await PageAsync(job, "layers/1/features/100"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_heat_map_has_a_cell_for_every_layer_and_label_and_orders_labels_as_asked()
    {
        var document = Measured(FinishedJob.Document(await api.SubmitAsync()));
        var map = HeatMap.Of(document, "excess", "depth", null);
        Assert.Equal(["late", "early", "nowhere"], HeatMap.Of(document, "excess", "strength", null).Panels[0].Rows.Select(r => r.Profile.Label));
        Assert.Equal(["early", "late", "nowhere"], map.Panels[0].Rows.Select(r => r.Profile.Label));
        Assert.Equal(["early", "late", "nowhere"], HeatMap.Of(document, "excess", "name", "pos").Panels[0].Rows.Select(r => r.Profile.Label));
        Assert.Equal(0.6, map.Full);
        Assert.Equal([0.5, 0.1, 0], map.Panels[0].Rows[0].Cells.Select(c => c!.Value));
        Assert.Equal([null, -0.4, -0.1], HeatMap.Of(document, "change", "depth", null).Panels[0].Rows[0].Cells.Select(c => c!.Value is { } v ? Math.Round(v, 9) : (double?)null));
        Assert.Equal([3.0, 3, 3], HeatMap.Of(document, "count", "depth", null).Panels[0].Rows[1].Cells.Select(c => c!.Value));

        var job = await FinishedAsync(Measured);
        var html = await PageAsync(job, "layers?value=count");
        Assert.Equal(9, Regex.Count(html, $"href=\"/jobs/{job.Id}/layers/[012]/features\\?task=pos&amp;label=(early|late|nowhere)\""));
        Assert.Equal(3 + 1, Regex.Count(html, "class=\"cell hatched\"")); // and the legend
    }

    [Fact]
    public async Task A_heat_map_of_48_layers_40_labels_and_3_tasks_is_a_page_that_a_browser_can_take()
    {
        var job = await FinishedAsync(document => document with
        {
            Tasks = [.. new[] { "pos", "dep", "ner" }.Select(task => document.Tasks[0] with { Task = task, Profiles = [.. Enumerable.Range(0, 40).Select(y => Profile($"label-{y}", [.. Enumerable.Range(0, 48).Select(l => l / 50.0)], y))] })],
            Layers = [.. Enumerable.Range(0, 48).Select(l => document.Layers[0] with
            {
                Layer = l,
                Cells = [.. new[] { "pos", "dep", "ner" }.SelectMany(task => Enumerable.Range(0, 40).Select(y => new LabelCell(task, $"label-{y}", CellStatus.Established, 0.7, l / 50.0, 2, 0.1, 0.3, 40, FinishedJob.Summary(y, task, $"label-{y}", 0.9, 40))))],
            })],
        });
        var html = await PageAsync(job, "layers");
        Assert.Equal(48 * 40 * 3, Regex.Count(html, "<td><a class=\"cell "));
        Assert.InRange(html.Length, 0, 3_500_000);
        Assert.Equal(48 * 40, Regex.Count(await PageAsync(job, "layers?task=dep"), "<td><a class=\"cell "));
    }

    /// <summary>With three labels: of the first layers, of the last, and of none.</summary>
    private static LayerFunctionalityDocument Measured(LayerFunctionalityDocument document) => document with
    {
        Tasks = [document.Tasks[0] with { Profiles = [Profile("nowhere", [0, 0, 0], null), Profile("late", [0, 0.2, 0.6], 1.75), Profile("early", [0.5, 0.1, 0], 0.2)] }],
        Layers = [.. document.Layers.Select((layer, at) => layer with
        {
            Cells = [new("pos", "early", CellStatus.Established, 0.7, new[] { 0.5, 0.1, 0 }[at], 2, 0.1, 0.3, 40, null),
                new("pos", "late", CellStatus.Suggestive, 0.7, new[] { 0, 0.2, 0.6 }[at], 3, 0.1, 0.3, 40, null),
                new("pos", "nowhere", CellStatus.NotEstablished, 0, 0, 0, 0.1, 0.3, 40, null)],
        })],
    };

    private static LabelProfile Profile(string label, double[] score, double? centre) => new()
    {
        Label = label,
        Aliases = [],
        Score = score,
        Information = [0.1, 0.2, 0.3],
        CentreOfGravity = centre is { } value ? new CentreOfGravity(value, value / 2, [value - 0.1, value + 0.1], 0.3, true) : null,
        ExpectedLayerPerLayer = null,
        PeakSet = [],
    };

    private async Task<Job> FinishedAsync(Func<LayerFunctionalityDocument, LayerFunctionalityDocument>? change = null)
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job, change);
        return job;
    }

    private Task<string> PageAsync(Job job, string page) => PageAsync($"/jobs/{job.Id}/{page}");

    private async Task<string> PageAsync(string address)
    {
        using var answer = await SendAsync(api.Submitter, address);
        var html = await answer.Content.ReadAsStringAsync(Ct);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{address} answered {(int)answer.StatusCode}: {html}");
        return html;
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, Job job, string page) => SendAsync(client, $"/jobs/{job.Id}/{page}");

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string address)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/html"));
        return client.SendAsync(request, Ct);
    }

    private static string? Link(string html, string relation) =>
        Regex.Match(html, $"<a rel=\"{relation}\" href=\"([^\"]*)\">") is { Success: true } link ? WebUtility.HtmlDecode(link.Groups[1].Value) : null;
}
