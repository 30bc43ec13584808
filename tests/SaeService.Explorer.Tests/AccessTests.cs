using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;
using SaeService.Api.Tests;
using SaeService.Storage;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>The same pages where callers need keys.</summary>
public sealed class KeyedSite : ApiFixture
{
    protected override bool Listens => true;
}

public sealed class AccessTests(KeyedSite site) : IClassFixture<KeyedSite>
{
    private async Task<(Guid Id, string Key)> KeyAsync(string name, string scope)
    {
        var made = await site.Services.GetRequiredService<ApiKeys>().CreateAsync(name, scope);
        await using var db = site.Database();
        return (db.ApiKeys.Single(x => x.Name == name).Id, made.Key);
    }

    [Fact]
    public async Task Signing_in_leads_to_the_page_that_was_asked_for_and_lasts_until_signing_out()
    {
        var (owner, key) = await KeyAsync("signs-in", "submit");
        var job = await Site.Small.MakeAsync(site, owner);
        await using var visit = await Visit.StartAsync(site.Address);
        var path = $"/jobs/{job.Id}/layers/1/features?task=pos";
        await visit.GoAsync(path, status: 401);
        await PageTests.LooksRightAsync(visit, "sign-in");
        var field = visit.Page.GetByLabel("API key");
        Assert.Equal("password", await field.GetAttributeAsync("type"));
        await field.FillAsync("sae_wrong");
        await field.PressAsync("Enter");
        await visit.Page.GetByRole(AriaRole.Main).WaitForAsync();
        Assert.Empty(await visit.Page.Context.CookiesAsync());

        await visit.GoAsync(path, status: 401);
        await field.FillAsync(key);
        await field.PressAsync("Enter");
        await visit.ReachAsync("**/features?task=pos");
        var cookie = Assert.Single(await visit.Page.Context.CookiesAsync());
        Assert.True(cookie.HttpOnly);
        Assert.Equal(SameSiteAttribute.Strict, cookie.SameSite);
        await visit.GoAsync("/");
        Assert.True(await visit.Page.Locator("#job-form").IsVisibleAsync());
        await visit.ShootAsync("start-with-key");
        await visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Sign out" }).ClickAsync();
        await visit.GoAsync("/", status: 401);
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task A_key_that_may_only_read_is_offered_nothing_that_changes()
    {
        var (owner, key) = await KeyAsync("reads-only", "read");
        var job = await Site.Small.MakeAsync(site, owner);
        await using var visit = await Visit.StartAsync(site.Address, session: key);
        await visit.GoAsync("/");
        Assert.Equal(0, await visit.Page.Locator("#job-form").CountAsync());
        await PageTests.LooksRightAsync(visit, "start-reader");
        await visit.GoAsync($"/jobs/{job.Id}");
        Assert.Equal(0, await visit.Page.Locator("main form[method=post]").CountAsync());
        Assert.Equal(0, await visit.Page.GetByText("Delete…").CountAsync());
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task A_job_of_another_key_is_not_there()
    {
        var (owner, _) = await KeyAsync("owns", "submit");
        var (_, other) = await KeyAsync("does-not-own", "submit");
        var job = await Site.Small.MakeAsync(site, owner);
        await using var visit = await Visit.StartAsync(site.Address, session: other);
        foreach (var path in (string[])["", "/layers", "/layers/1", "/layers/1/features", "/layers/1/features/0", "/data", "/figures", "/inspect"])
        {
            await visit.GoAsync($"/jobs/{job.Id}{path}", status: 404);
            Assert.DoesNotContain("tiny", await visit.Page.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        }
        await visit.GoAsync("/");
        Assert.Equal(0, await visit.Page.Locator($"a[href='/jobs/{job.Id}']").CountAsync());
        visit.AssertNothingWrong();
    }
}
