using System.Text.RegularExpressions;
using Microsoft.Playwright;
using SaeService.Api.Explorer;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>Names, labels and text that others wrote stay text, are all there, and break no layout; <see cref="PageTests"/> hold every such page against the rest.</summary>
public sealed partial class HostileTests(Site site)
{
    /// <summary>Markup has run nothing and is shown as it was written, on the page that is open.</summary>
    internal static async Task AssertInertAsync(Visit visit)
    {
        Assert.Equal(0, await visit.Page.Locator("img[src=x], [onerror], a[href^='javascript:']").CountAsync());
        var text = await visit.Page.Locator("body").InnerTextAsync();
        Assert.Contains("<script>alert(1)</script><img src=x onerror=alert(2)>", text, StringComparison.Ordinal);
        // Nothing hides, and nothing turns what follows around.
        var hidden = Hidden().Match(text);
        Assert.False(hidden.Success, $"{visit.Place}: U+{(hidden.Success ? text[hidden.Index] : 0):X4} in {text[Math.Max(0, hidden.Index - 60)..Math.Min(text.Length, hidden.Index + 20)]}");
    }

    [Fact]
    public async Task Text_of_the_corpus_is_whole_with_what_hides_made_visible_and_runs_in_its_own_direction()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Danger.Id}/layers/1/features/0");
        var context = visit.Page.Locator(".context").First;
        Assert.Equal(Plain(Shown.Visible(Hostile.Sentence)), Plain(await context.InnerTextAsync()));
        // Every word is marked where the feature fires on it.
        Assert.Equal(Shown.Visible(Hostile.Words[0]), await context.Locator("mark").First.InnerTextAsync());
        Assert.Equal("plaintext", await context.EvaluateAsync<string>("e => getComputedStyle(e).unicodeBidi"));
        // A context that begins with Arabic, and one that begins with Chinese: the place of its first word tells the direction.
        foreach (var (word, fromRight) in new[] { (Hostile.Arabic, true), (Hostile.Chinese, false) })
        {
            var found = await visit.Page.Locator(".context").EvaluateAllAsync<double[]>("""
                (all, word) => all.filter(e => e.textContent.trim().startsWith(word)).slice(0, 1).flatMap(e => {
                    const range = document.createRange(), walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
                    let node = walker.nextNode();
                    while (node && !node.data.includes(word.slice(0, 2))) node = walker.nextNode();
                    const at = node.data.indexOf(word.slice(0, 2));
                    range.setStart(node, at); range.setEnd(node, at + 1);
                    const first = range.getBoundingClientRect(), box = e.getBoundingClientRect();
                    return [first.left - box.left, box.right - first.right];
                })
                """, word);
            Assert.Equal(2, found.Length);
            Assert.True(fromRight ? found[1] < found[0] : found[0] < found[1], $"{word}: {found[0]} from the left, {found[1]} from the right");
        }
        visit.AssertNothingWrong();

        static string Plain(string text) => string.Join(' ', text.Split((char[])[' ', '\n', '\u00A0'], StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task A_label_with_anything_in_it_leads_to_its_features()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        foreach (var label in Hostile.Words)
        {
            await visit.GoAsync($"/jobs/{site.Danger.Id}/layers/1/features?task=pos&label={Uri.EscapeDataString(label)}");
            var shown = await visit.Page.Locator("#features tbody tr .label").AllTextContentsAsync();
            Assert.NotEmpty(shown);
            Assert.All(shown, text => Assert.Contains(Shown.Visible(label), text, StringComparison.Ordinal));
        }
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task What_is_typed_into_forms_comes_back_as_text()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Danger.Id}/layers/1/features");
        await visit.Page.GetByRole(AriaRole.Searchbox).FillAsync(Hostile.Markup);
        await visit.Page.GetByRole(AriaRole.Searchbox).PressAsync("Enter");
        await visit.ReachAsync("**q=*");
        Assert.Equal(Hostile.Markup, await visit.Page.GetByRole(AriaRole.Searchbox).InputValueAsync());
        await visit.GoAsync($"/?model={Uri.EscapeDataString(Hostile.Markup)}");
        Assert.Equal(1, await visit.Page.Locator("#job-rows tr").CountAsync());
        await AssertInertAsync(visit);
        visit.AssertNothingWrong();
    }

    [GeneratedRegex("[\u202A-\u202E\u2066-\u2069\u200B\uFEFF\u0001-\u0008\u000E-\u001F\u0080-\u009F]")]
    private static partial Regex Hidden();
}
