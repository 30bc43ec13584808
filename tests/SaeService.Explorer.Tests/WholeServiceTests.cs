using Microsoft.Playwright;
using SaeService.EndToEnd.Tests;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace SaeService.Explorer.Tests;

/// <summary>The service as its user starts it, with a worker: a job is submitted by form, watched to its end, and looked at.</summary>
public sealed class WholeServiceTests
{
    [Fact]
    public async Task A_job_is_submitted_by_form_watched_to_its_end_and_looked_at()
    {
        await Chromium.RequireAsync();
        var ct = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken, new CancellationTokenSource(TimeSpan.FromMinutes(15)).Token).Token;
        var (service, address) = await SaeCommand.UpAsync(SaeCommand.NewHome(), ct);
        await using var _ = service;
        await using var visit = await Visit.StartAsync(new Uri(address));
        var page = visit.Page;
        await visit.GoAsync("/");
        var form = page.Locator("#job-form");
        await form.GetByLabel("Model", new LocatorGetByLabelOptions { Exact = true }).FillAsync("sample");
        await form.GetByLabel("Data set", new LocatorGetByLabelOptions { Exact = true }).FillAsync("sample");
        await form.GetByLabel("Layers", new LocatorGetByLabelOptions { Exact = true }).FillAsync("0, 3");
        await form.GetByLabel("quick", new LocatorGetByLabelOptions { Exact = true }).CheckAsync();
        await page.GetByText("Advanced").ClickAsync();
        await form.GetByLabel("Training tokens").FillAsync("60000");
        await form.GetByLabel("Most words").FillAsync("4000");
        await form.GetByLabel("Words the probes are trained on").FillAsync("1000");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Submit the job" }).ClickAsync();
        await visit.ReachAsync("**/jobs/*");
        await page.EvaluateAsync("() => { window.here = true; }");

        var status = page.Locator("h1 .badge");
        await Expect(status).ToHaveTextAsync("running", new LocatorAssertionsToHaveTextOptions { Timeout = 120_000 });
        await visit.ShootAsync("whole-running");
        await Expect(status).ToHaveTextAsync("succeeded", new LocatorAssertionsToHaveTextOptions { Timeout = 400_000 });
        Assert.True(await page.EvaluateAsync<bool>("() => window.here === true"), "the page was loaded again");
        await PageTests.LooksRightAsync(visit, "whole-job");

        await page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = "See what each layer does" }).ClickAsync();
        await visit.ReachAsync("**/layers");
        Assert.NotEqual(0, await page.Locator("table.heat a.cell").CountAsync());
        await PageTests.LooksRightAsync(visit, "whole-layers");
        await page.Locator("table.heat a.cell:not(.hatched)").First.ClickAsync();
        await visit.ReachAsync("**/features?*");
        await page.Locator("#features tbody th a").First.ClickAsync();
        await visit.ReachAsync("**/features/*");
        Assert.NotEqual(0, await page.Locator(".context mark").CountAsync());
        await PageTests.LooksRightAsync(visit, "whole-feature");

        await page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = "Inspect a sentence" }).ClickAsync();
        await page.GetByLabel("Text").FillAsync("Ada sees the old dogs .");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Inspect" }).ClickAsync();
        await visit.ReachAsync("**text=*");
        Assert.NotEqual(0, await page.Locator("table.lit td a").CountAsync());
        await PageTests.LooksRightAsync(visit, "whole-inspect");
        visit.AssertNothingWrong();
    }
}
