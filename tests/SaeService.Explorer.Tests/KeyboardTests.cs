using Microsoft.Playwright;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>Everything without a mouse: Tab, Enter, arrows, and what is typed.</summary>
public sealed class KeyboardTests(Site site)
{
    private const string Focused = "e => e === document.activeElement";

    /// <summary>Tabs until the element has the focus.</summary>
    private static async Task TabToAsync(Visit visit, ILocator target, int most = 400)
    {
        for (var i = 0; i < most; i++)
        {
            await visit.Page.Keyboard.PressAsync("Tab");
            if (await target.EvaluateAsync<bool>(Focused))
            {
                // Whoever tabs must see where they are.
                Assert.True(await target.EvaluateAsync<bool>("e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; }"), "the focus can not be seen");
                return;
            }
        }
        Assert.Fail($"Tab does not come to {target}");
    }

    [Fact]
    public async Task A_job_is_submitted()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync("/");
        await TabToAsync(visit, visit.Page.GetByLabel("Model", new PageGetByLabelOptions { Exact = true }).And(visit.Page.Locator("#job-form input")));
        await visit.Page.Keyboard.TypeAsync("tiny");
        await TabToAsync(visit, visit.Page.GetByLabel("Data set", new PageGetByLabelOptions { Exact = true }).And(visit.Page.Locator("#job-form input")));
        await visit.Page.Keyboard.TypeAsync("mini");
        await TabToAsync(visit, visit.Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Submit the job" }));
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.ReachAsync("**/jobs/*");
        Assert.Contains("tiny on mini", await visit.Page.Locator("h1").InnerTextAsync(), StringComparison.Ordinal);
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task From_the_start_to_a_cell_to_a_feature_and_back()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Finished.Id}");
        await TabToAsync(visit, visit.Page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = "Layers", Exact = true }));
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.ReachAsync("**/layers");
        await TabToAsync(visit, visit.Page.Locator("table.heat a.cell").First);
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.ReachAsync("**/features?*");
        await TabToAsync(visit, visit.Page.Locator("#features tbody th a").First);
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.ReachAsync("**/features/*");
        await visit.Page.GoBackAsync();
        await visit.Page.GoBackAsync();
        Assert.Equal($"/jobs/{site.Finished.Id}/layers", visit.Place);
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task The_first_tab_skips_to_the_content()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Finished.Id}/layers");
        await visit.Page.Keyboard.PressAsync("Tab");
        var skip = visit.Page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = "Skip to content" });
        Assert.True(await skip.EvaluateAsync<bool>(Focused));
        Assert.True(await skip.EvaluateAsync<bool>("e => { const r = e.getBoundingClientRect(); return r.left >= 0 && r.top >= 0; }"), "it is out of sight");
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.Page.Keyboard.PressAsync("Tab");
        Assert.True(await visit.Page.EvaluateAsync<bool>("() => document.querySelector('main').contains(document.activeElement)"));
    }

    [Fact]
    public async Task Tables_that_scroll_are_reached_and_scrolled()
    {
        await using var visit = await Visit.StartAsync(site.Address, width: 320);
        await visit.GoAsync($"/jobs/{site.Finished.Id}/layers");
        var box = visit.Page.Locator(".scroll").Filter(new LocatorFilterOptions { Has = visit.Page.Locator("table.heat") }).First;
        await TabToAsync(visit, box);
        await visit.Page.Keyboard.PressAsync("ArrowRight");
        await visit.Page.WaitForFunctionAsync("() => document.activeElement.scrollLeft > 0 || document.activeElement.scrollWidth <= document.activeElement.clientWidth");
    }
}
