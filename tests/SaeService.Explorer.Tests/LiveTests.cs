using Microsoft.EntityFrameworkCore;
using Microsoft.Playwright;
using SaeService.Contracts;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace SaeService.Explorer.Tests;

/// <summary>The page of a job while things happen to it. Expectations wait: a page may take a second to hear.</summary>
/// <remarks>Not beside the crawl: a job is deleted here.</remarks>
[Collection("jobs that come and go")]
public sealed class LiveTests(Site site)
{
    static LiveTests() => SetDefaultExpectTimeout(60_000);

    [Fact]
    public async Task Progress_comes_without_a_reload()
    {
        var job = await site.RunningAsync();
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{job.Id}");
        await visit.Page.EvaluateAsync("() => { window.here = true; }");
        var layers = visit.Page.Locator("#stages-layers");
        await Expect(layers).ToContainTextAsync("step 400 of 1000");
        await Expect(layers).ToContainTextAsync("40 %");

        await site.ProgressAsync(job.Id, 0.8, "step 800 of 1000 <b>bold</b>");
        await Expect(layers).ToContainTextAsync("step 800 of 1000 <b>bold</b>");
        await Expect(layers).ToContainTextAsync("80 %");
        await Expect(visit.Page.Locator("#log-rows")).ToContainTextAsync("step 800 of 1000");
        Assert.True(await visit.Page.EvaluateAsync<bool>("() => window.here === true"), "the page was loaded again");
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task The_list_of_jobs_follows_them_too()
    {
        var job = await site.RunningAsync();
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync("/");
        await visit.Page.EvaluateAsync("() => { window.here = true; }");
        var row = visit.Page.Locator("#job-rows tr").Filter(new LocatorFilterOptions { Has = visit.Page.Locator($"a[href='/jobs/{job.Id}']") });
        await Expect(row).ToContainTextAsync("running");
        using var answer = await site.Admin.PostAsync($"/v1/jobs/{job.Id}/cancel", null, TestContext.Current.CancellationToken);
        await Expect(row).ToContainTextAsync("cancelling");
        Assert.True(await visit.Page.EvaluateAsync<bool>("() => window.here === true"), "the page was loaded again");
    }

    [Fact]
    public async Task A_job_is_cancelled_retried_and_deleted_by_button()
    {
        var job = await Site.Small.SubmitAsync(site);
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{job.Id}");
        var status = visit.Page.Locator("h1 .badge");
        await Button("Cancel the job").ClickAsync();
        await Expect(status).ToHaveTextAsync("cancelled");
        await Button("Retry").ClickAsync();
        await Expect(status).ToHaveTextAsync("queued");
        await Button("Cancel the job").ClickAsync();
        await Expect(status).ToHaveTextAsync("cancelled");
        // Nothing is lost by one click.
        await visit.Page.GetByText("Delete…").ClickAsync();
        await using (var db = site.Database())
            Assert.True(await db.Jobs.AnyAsync(x => x.Id == job.Id, TestContext.Current.CancellationToken));
        await Button("Delete this job").ClickAsync();
        await visit.ReachAsync("**/");
        Assert.Equal("/", visit.Place);
        Assert.Equal(0, await visit.Page.Locator($"a[href='/jobs/{job.Id}']").CountAsync());
        await visit.GoAsync($"/jobs/{job.Id}", status: 404);
        visit.AssertNothingWrong();

        ILocator Button(string name) => visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = name });
    }

    [Fact]
    public async Task A_failure_says_what_failed_what_is_kept_and_what_to_do()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Failed.Id}");
        var text = await visit.Page.Locator("main").InnerTextAsync();
        foreach (var said in (string[])["of layer 1", "Layer 1 needs about 1,900 MiB of memory, and may use 954 MiB.", "6 of 21 stages and everything they published",
            "lower sae.expansion, or give the worker more memory, and retry"])
            Assert.Contains(said, text, StringComparison.Ordinal);
        Assert.True(await visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Retry" }).IsVisibleAsync());
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task A_job_that_fails_while_it_is_watched_says_so()
    {
        var job = await site.RunningAsync();
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{job.Id}");
        await using (var db = site.Database())
        {
            await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Failed).SetProperty(x => x.FinishedAt, DateTimeOffset.UtcNow)
                .SetProperty(x => x.ErrorJson, """{"type":"urn:sae:problem:internal","title":"Something went wrong","status":500,"code":"internal","detail":"the disk is full"}"""), TestContext.Current.CancellationToken);
            db.JobEvents.Add(new() { JobId = job.Id, Type = "job.failed", At = DateTimeOffset.UtcNow, Message = "the disk is full" });
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        await Expect(visit.Page.Locator("#job-outcome")).ToContainTextAsync("the disk is full");
        await Expect(visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Retry" })).ToBeVisibleAsync();
        visit.AssertNothingWrong();
    }
}
