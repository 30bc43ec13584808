using Xunit;

namespace SaeService.Explorer.Tests;

public sealed class StartTests(Site site)
{
    [Fact]
    public async Task The_first_page_is_light()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync("/");
        var (requests, bytes) = await visit.WeightAsync();
        Assert.InRange(bytes, 1000, 300_000);
        Assert.InRange(requests, 2, 8);
        TestContext.Current.TestOutputHelper?.WriteLine($"{requests} requests, {bytes:N0} bytes");
        // Once more: style and scripts are kept for good.
        await visit.GoAsync("/");
        Assert.Empty(await visit.Page.EvaluateAsync<string[]>("() => performance.getEntriesByType('resource').filter(e => e.name.includes('/assets/') && e.transferSize > 0).map(e => e.name)"));
        visit.AssertNothingWrong();
    }

    [Theory]
    [InlineData("layers?value=information&sort=name")]
    [InlineData("layers?value=count&task=dep")]
    [InlineData("layers/1/features?task=pos&label=NOUN&sort=f1")]
    [InlineData("layers/1/features?kind=contextual&sort=support&order=asc")]
    [InlineData("layers/2/features/3")]
    public async Task A_link_shows_what_its_sender_saw(string path)
    {
        var seen = new List<string>();
        for (var reader = 0; reader < 2; reader++)
        {
            // Without a cookie or anything else that a browser would remember: all of the state is in the address.
            using var http = new HttpClient { BaseAddress = site.Address };
            http.DefaultRequestHeaders.Accept.ParseAdd("text/html");
            var page = await http.GetStringAsync($"/jobs/{site.Finished.Id}/{path}", TestContext.Current.CancellationToken);
            seen.Add(page[page.IndexOf("<main", StringComparison.Ordinal)..page.IndexOf("</main>", StringComparison.Ordinal)]);
        }
        Assert.Equal(seen[0], seen[1]);
    }

    [Fact]
    public async Task What_is_chosen_on_a_page_is_in_its_address()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Finished.Id}/layers");
        var before = await visit.Page.Locator("table.heat").First.InnerTextAsync();
        await visit.Page.Locator("#value a").Nth(1).ClickAsync();
        await visit.ReachAsync("**value=*");
        Assert.NotEqual(before, await visit.Page.Locator("table.heat").First.InnerTextAsync());

        await visit.GoAsync($"/jobs/{site.Finished.Id}/layers/1/features");
        await visit.Page.Locator("#features thead a").Filter(new() { HasText = "Support" }).ClickAsync();
        await visit.ReachAsync("**sort=support*");
        Assert.Equal("descending", await visit.Page.Locator("th[aria-sort]").GetAttributeAsync("aria-sort"));
        await visit.Page.Locator("#features thead a").Filter(new() { HasText = "Support" }).ClickAsync();
        await visit.ReachAsync("**order=asc*");
        Assert.Equal("ascending", await visit.Page.Locator("th[aria-sort]").GetAttributeAsync("aria-sort"));
        visit.AssertNothingWrong();
    }
}
