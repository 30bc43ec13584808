using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;
using SaeService.Api.Tests;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace SaeService.Explorer.Tests;

/// <summary>The form of the start page: estimate, refusal, errors at their fields, uploads, the job.</summary>
public sealed class SubmitTests(Site site)
{
    static SubmitTests() => SetDefaultExpectTimeout(60_000);

    private static ILocator Field(Visit visit, string label) => visit.Page.Locator("#job-form").GetByLabel(label, new LocatorGetByLabelOptions { Exact = true });

    private static ILocator Button(Visit visit, string name) => visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = name });

    private async Task<Visit> FormAsync(string model = "tiny", string dataset = "mini")
    {
        var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync("/");
        await Field(visit, "Model").FillAsync(model);
        await Field(visit, "Data set").FillAsync(dataset);
        return visit;
    }

    [Fact]
    public async Task The_estimate_is_shown_and_queues_nothing()
    {
        await using var visit = await FormAsync(model: "sample");
        await Button(visit, "Estimate").ClickAsync();
        await Expect(visit.Page.Locator("#estimate")).ToContainTextAsync("on one worker");
        await Expect(visit.Page.Locator("#estimate")).ToContainTextAsync("3 layers");
        Visit.AssertNone(await visit.BarriersAsync("the form with its estimate"));
        await visit.ShootAsync("form-estimate");
        Assert.Equal(0, await JobsAsync("sample"));
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task A_job_that_can_not_fit_is_refused_with_its_numbers_before_it_is_sent()
    {
        await using var visit = await FormAsync();
        await visit.Page.GetByText("Advanced").ClickAsync();
        await Field(visit, "Expansion").FillAsync("256");
        await Button(visit, "Estimate").ClickAsync();
        await Expect(visit.Page.Locator("#estimate.bad")).ToContainTextAsync("would be refused");
        Assert.Matches("disk", await visit.Page.Locator("#estimate.bad").InnerTextAsync());
        visit.Expected.Add(422);
        await Button(visit, "Submit the job").ClickAsync();
        await Expect(visit.Page.Locator("#form-problem")).ToContainTextAsync("disk");
        Assert.Equal("/", visit.Place);
        await visit.ShootAsync("form-refused");
    }

    [Fact]
    public async Task What_is_wrong_stands_at_its_field()
    {
        await using var visit = await FormAsync(model: "no-such-model");
        visit.Expected.UnionWith([400, 404, 422]);
        await visit.Page.GetByText("Advanced").ClickAsync();
        await Field(visit, "k").FillAsync("many");
        await Field(visit, "Layers").FillAsync("0, x");
        await Button(visit, "Submit the job").ClickAsync();
        await Expect(visit.Page.Locator("[data-error-for='sae.k'], [data-error-for='layers'], [data-error-for='model.id']").Filter(new LocatorFilterOptions { HasTextRegex = new(".") }).First).ToBeVisibleAsync();
        // Mended one after the other, each in its place.
        foreach (var (label, name, value) in new[] { ("k", "sae.k", ""), ("Layers", "layers", "0-1"), ("Model", "model.id", "tiny") })
        {
            await Field(visit, label).FillAsync(value);
            await Button(visit, "Submit the job").ClickAsync();
            if (label == "Model")
                break;
            await Expect(visit.Page.Locator($"[data-error-for='{name}']")).ToHaveTextAsync("");
            Assert.Null(await Field(visit, label).GetAttributeAsync("aria-invalid"));
            Assert.NotEqual(0, await visit.Page.Locator("[aria-invalid=true]").CountAsync());
        }
        await visit.ReachAsync("**/jobs/*");
    }

    [Fact]
    public async Task Without_scripts_it_is_a_form()
    {
        var browser = await Chromium.RequireAsync();
        await using var context = await browser.NewContextAsync(new BrowserNewContextOptions { JavaScriptEnabled = false });
        var page = await context.NewPageAsync();
        await page.GotoAsync(site.Address.ToString());
        await page.Locator("#job-form").GetByLabel("Model", new LocatorGetByLabelOptions { Exact = true }).FillAsync("tiny");
        await page.Locator("#job-form").GetByLabel("Data set", new LocatorGetByLabelOptions { Exact = true }).FillAsync("no-such-data");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Submit the job" }).ClickAsync();
        // What was typed is still there, and what is wrong is said at it.
        var data = page.GetByLabel("Data set", new PageGetByLabelOptions { Exact = true });
        Assert.Equal("no-such-data", await data.InputValueAsync());
        Assert.Equal("true", await data.GetAttributeAsync("aria-invalid"));
        await data.FillAsync("mini");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Submit the job" }).ClickAsync();
        await page.WaitForURLAsync("**/jobs/*", new PageWaitForURLOptions { WaitUntil = WaitUntilState.Commit });
        Assert.Contains("tiny on mini", await page.Locator("h1").InnerTextAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_is_uploaded_by_dragging_or_by_choosing_and_named_in_the_form(bool drag)
    {
        await using var visit = await FormAsync(dataset: "");
        var name = drag ? "dragged.conllu" : "chosen.conllu";
        if (drag)
        {
            var data = await visit.Page.EvaluateHandleAsync("""
                ([name, text]) => { const data = new DataTransfer(); data.items.add(new File([text], name, { type: "text/plain" })); return data; }
                """, new[] { name, TestFolders.Conllu(40) });
            await visit.Page.Locator("#upload").DispatchEventAsync("dragenter", new { dataTransfer = data });
            await Expect(visit.Page.Locator("#upload")).ToHaveClassAsync(new System.Text.RegularExpressions.Regex("over"));
            await visit.Page.Locator("#upload").DispatchEventAsync("drop", new { dataTransfer = data });
        }
        else
            await visit.Page.Locator("input[type=file]").SetInputFilesAsync(new FilePayload { Name = name, MimeType = "text/plain", Buffer = Encoding.UTF8.GetBytes(TestFolders.Conllu(40)) });
        await Expect(Field(visit, "Data set")).ToHaveValueAsync(name);
        await Expect(visit.Page.Locator("#dataset-said")).ToContainTextAsync("200 words");
        await Expect(visit.Page.Locator("#estimate")).ToContainTextAsync("on one worker");
        await visit.ShootAsync(drag ? "form-dragged" : "form-chosen");
        await Button(visit, "Submit the job").ClickAsync();
        await visit.ReachAsync("**/jobs/*");
        Assert.Contains($"tiny on {name}", await visit.Page.Locator("h1").InnerTextAsync(), StringComparison.Ordinal);
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task A_file_that_is_no_data_set_is_told_so_and_nothing_is_kept()
    {
        await using var visit = await FormAsync(dataset: "mini");
        visit.Expected.UnionWith([400, 422]);
        await visit.Page.Locator("input[type=file]").SetInputFilesAsync(new FilePayload { Name = "bad.conllu", MimeType = "text/plain", Buffer = "1\tonly\tthree\n\n"u8.ToArray() });
        await Expect(visit.Page.Locator("#upload-said")).ToContainTextAsync("Not taken");
        Assert.Equal("mini", await Field(visit, "Data set").InputValueAsync());
        await using var db = site.Database();
        Assert.False(await db.Datasets.AnyAsync(x => x.Name == "bad.conllu", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_same_form_sent_twice_is_one_job()
    {
        await using var visit = await FormAsync(model: "org/nested");
        await Button(visit, "Submit the job").DblClickAsync();
        await visit.ReachAsync("**/jobs/*");
        Assert.Equal(1, await JobsAsync("org/nested"));
    }

    /// <summary>Of a model that no other test names: they run beside this one.</summary>
    private async Task<int> JobsAsync(string model)
    {
        await using var db = site.Database();
        return await db.Jobs.CountAsync(x => x.ModelId == model, TestContext.Current.CancellationToken);
    }
}
