using Microsoft.Playwright;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>What holds for every page, whatever it is about.</summary>
public sealed class PageTests(Site site)
{
    public static TheoryData<string> Names =>
    [
        "start", "job", "job-queued", "job-running", "job-failed", "job-cancelled", "layers", "layers-change", "layers-nothing", "layers-running", "layer", "features", "features-none", "feature",
        "feature-dead", "figures", "inspect", "data", "data-running", "compare", "compare-two", "hostile-job", "hostile-layers", "hostile-layer", "hostile-features", "hostile-feature",
        "hostile-figures", "hostile-inspect", "hostile-data", "hostile-compare",
    ];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_page_is_whole_quiet_accessible_and_fits_in_light_and_dark(string name)
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync(site.Pages[name]);
        await LooksRightAsync(visit, name);
        if (name.StartsWith("hostile", StringComparison.Ordinal))
            await HostileTests.AssertInertAsync(visit);
        visit.AssertNothingWrong();
    }

    [Fact]
    public void No_page_is_left_out() => Assert.Equal(site.Pages.Keys, Names.Select(row => row.Data));

    [Fact]
    public async Task What_is_not_there_is_said_on_a_page()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        foreach (var path in (string[])["/no/such/page", "/jobs/01234567-89ab-7def-8123-456789abcdef", "/jobs/nonsense/layers"])
        {
            await visit.GoAsync(path, status: 404);
            Assert.False(string.IsNullOrWhiteSpace(await visit.Page.Locator("h1").InnerTextAsync()));
        }
        await LooksRightAsync(visit, "not-found");
        await visit.Page.GetByRole(AriaRole.Main).GetByRole(AriaRole.Link).First.ClickAsync();
        await visit.ReachAsync("**/");
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task What_a_query_can_not_mean_is_said_on_a_page()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        foreach (var path in (string[])["layers?value=nonsense", "layers?sort=%3Cscript%3E", "layers/1/features?sort=nonsense", "layers/1/features?after=nonsense", "layers/1/features?kind=x"])
        {
            await visit.GoAsync($"/jobs/{site.Finished.Id}/{path}", status: 400);
            Assert.Equal(1, await visit.Page.Locator("h1").CountAsync());
        }
        await visit.GoAsync("/?after=nonsense", status: 422);
        await visit.GoAsync("/compare?left=x&right=y", status: 400);
        visit.AssertNothingWrong();
    }

    internal static async Task LooksRightAsync(Visit visit, string name)
    {
        var page = visit.Page;
        await page.SetViewportSizeAsync(1280, 900);
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Light });
        Assert.Equal(1, await page.Locator("h1").CountAsync());
        Assert.False(string.IsNullOrWhiteSpace(await page.Locator("h1").InnerTextAsync()));
        Assert.False(string.IsNullOrWhiteSpace(await page.TitleAsync()));
        Assert.Equal("en", await page.Locator("html").GetAttributeAsync("lang"));
        // Every picture has come.
        await page.EvaluateAsync("() => Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode().catch(() => {}); }))");
        Assert.Empty(await page.EvaluateAsync<string[]>("() => [...document.images].filter(image => image.naturalWidth === 0).map(image => image.src)"));

        // All that is wrong at once, and the pictures whatever is.
        var faults = (await visit.BarriersAsync(name)).ToList();
        foreach (var width in (int[])[1280, 1600, 640, 320])
        {
            faults.AddRange(await visit.OverhangsAsync(width));
            // 640 is 1280 at 200 %; 1600 has the same columns as 1280 with more beside them.
            if (width is 1280 or 320)
                await visit.ShootAsync($"{name}-{width}");
        }
        await page.SetViewportSizeAsync(1280, 900);
        await page.EmulateMediaAsync(new PageEmulateMediaOptions { ColorScheme = ColorScheme.Dark });
        faults.AddRange(await visit.BarriersAsync(name + " in dark", coloursOnly: true));
        await visit.ShootAsync($"{name}-dark");
        Visit.AssertNone(faults);
    }
}
