using System.Collections.Concurrent;
using Deque.AxeCore.Commons;
using Microsoft.Playwright;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>
/// A page in a browser of its own (no cookies, no cache of others), which writes down everything that should not happen: errors on the console (what the content security
/// policy forbids among them), failed requests, requests to elsewhere, dialogs.
/// </summary>
internal sealed class Visit : IAsyncDisposable
{
    private static readonly string[] s_rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    private static readonly string[] s_colours = ["color-contrast"];
    private static readonly string s_axe = new BundledAxeScriptProvider().GetScript();
    private static readonly string s_shots = Directory.CreateDirectory(Path.Combine(SharedData.RepositoryRoot, "artifacts", "explorer-shots")).FullName;

    private readonly IBrowserContext _context;
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentQueue<IRequest> _finished = new();
    private readonly Uri _site;

    private Visit(IBrowserContext context, IPage page, Uri site)
    {
        (_context, Page, _site) = (context, page, site);
        page.Console += (_, message) =>
        {
            // Statuses are judged by the answer itself.
            if (message.Type is "error" or "warning" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
                _faults.Enqueue($"console: {message.Text}");
        };
        page.PageError += (_, error) => _faults.Enqueue($"script: {error}");
        page.Dialog += async (_, dialog) =>
        {
            _faults.Enqueue($"dialog: {dialog.Message}");
            await dialog.DismissAsync();
        };
        page.Request += (_, request) =>
        {
            if (new Uri(request.Url) is { Scheme: "http" or "https" or "ws" } address && address.Authority != site.Authority)
                _faults.Enqueue($"elsewhere: {request.Url}");
        };
        page.RequestFailed += (_, request) =>
        {
            // What the next page or a closed stream no longer needs.
            if (request.Failure != "net::ERR_ABORTED")
                _faults.Enqueue($"{request.Failure}: {request.Url}");
        };
        page.RequestFinished += (_, request) => _finished.Enqueue(request);
        page.Response += (_, answer) =>
        {
            if (answer.Status >= 400 && !Expected.Contains(answer.Status))
                _faults.Enqueue($"{answer.Status}: {answer.Request.Method} {answer.Url}");
        };
    }

    public IPage Page { get; }

    /// <summary>Statuses of refusals that the test asks for.</summary>
    public HashSet<int> Expected { get; } = [];

    /// <summary>Skips the running test where there is no Chromium.</summary>
    /// <param name="session">A key, as the sign-in page leaves it.</param>
    public static async Task<Visit> StartAsync(Uri site, int width = 1280, int height = 900, string? session = null)
    {
        var browser = await Chromium.RequireAsync();
        // Without animations, which screenshots and contrast would catch half-way.
        var context = await browser.NewContextAsync(new BrowserNewContextOptions { ViewportSize = new ViewportSize { Width = width, Height = height }, ReducedMotion = ReducedMotion.Reduce });
        context.SetDefaultTimeout(60_000); // a busy machine is no fault
        if (session is not null)
            await context.AddCookiesAsync([new Cookie { Name = "sae_key", Value = session, Url = site.ToString() }]);
        return new Visit(context, await context.NewPageAsync(), site);
    }

    /// <summary>Opens an address of the site, and expects the status.</summary>
    public async Task GoAsync(string path, int status = 200)
    {
        if (status >= 400)
            Expected.Add(status);
        var answer = await Page.GotoAsync(new Uri(_site, path).ToString());
        Assert.True(answer!.Status == status, $"{path} answered {answer.Status}: {await Page.InnerTextAsync("body")}");
    }

    /// <summary>Waits until a press has led to an address.</summary>
    /// <param name="pattern">With * and ** for anything.</param>
    public async Task ReachAsync(string pattern)
    {
        // Not for the load that belongs to the address: one that is over before it is waited for is, now and then, waited for in vain.
        await Page.WaitForURLAsync(pattern, new PageWaitForURLOptions { WaitUntil = WaitUntilState.Commit });
        await LoadedAsync();
    }

    /// <inheritdoc cref="ReachAsync(string)"/>
    public async Task ReachAsync(Func<string, bool> isIt)
    {
        await Page.WaitForURLAsync(isIt, new PageWaitForURLOptions { WaitUntil = WaitUntilState.Commit });
        await LoadedAsync();
    }

    private Task LoadedAsync() => Page.WaitForFunctionAsync("() => document.readyState === 'complete'");

    /// <summary>Where the browser is, without the site's address.</summary>
    public string Place => new Uri(Page.Url).PathAndQuery;

    public void AssertNothingWrong() => AssertNone(_faults);

    /// <summary>Fails with every entry in full.</summary>
    internal static void AssertNone(IReadOnlyCollection<string> faults) => Assert.True(faults.Count == 0, string.Join(Environment.NewLine, faults));

    /// <summary>What breaks axe-core's rules of WCAG 2.0 to 2.2, A and AA, and of good practice.</summary>
    /// <param name="coloursOnly">For another theme of a page that was asked about in full.</param>
    public async Task<string[]> BarriersAsync(string what, bool coloursOnly = false)
    {
        // Once a page: it is half a megabyte. And of what passes, which is nearly all, nothing need be told.
        if (!await Page.EvaluateAsync<bool>("() => 'axe' in window"))
            await Page.EvaluateAsync(s_axe);
        return await Page.EvaluateAsync<string[]>("""
            async ([what, runOnly]) => (await axe.run(document, { runOnly, resultTypes: ["violations"] })).violations.map(rule => `${what}: ${rule.id}: ${rule.help}: ` +
                rule.nodes.slice(0, 3).map(node => `${node.target} ${node.html.slice(0, 200)} ${node.any.slice(0, 1).map(check => check.message)}`).join(" | "))
            """, new object[] { what, coloursOnly ? new { type = "rule", values = s_colours } : new { type = "tag", values = s_rules } });
    }

    /// <summary>What makes a reader scroll sideways for the page; wide tables scroll in boxes of their own.</summary>
    public async Task<string[]> OverhangsAsync(int width)
    {
        await Page.SetViewportSizeAsync(width, 900);
        return await Page.EvaluateAsync<string[]>("""
            () => {
                const root = document.documentElement;
                if (root.scrollWidth <= root.clientWidth)
                    return [];
                const boxed = e => { for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
                return [`${location.pathname}: ${root.scrollWidth} > ${root.clientWidth} px`, ...[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !boxed(e))
                    .slice(0, 5).map(e => e.outerHTML.slice(0, 160))];
            }
            """);
    }

    /// <summary>To be looked at: <c>artifacts/explorer-shots/NAME.png</c>, the whole page up to 6000 pixels.</summary>
    public async Task ShootAsync(string name)
    {
        var (width, height) = (Page.ViewportSize!.Width, await Page.EvaluateAsync<int>("() => document.documentElement.scrollHeight"));
        await Page.ScreenshotAsync(new PageScreenshotOptions
        {
            Path = Path.Combine(s_shots, name + ".png"),
            FullPage = true,
            Clip = new Clip { X = 0, Y = 0, Width = width, Height = Math.Min(height, 6000) },
        });
    }

    /// <summary>Requests so far, and the bytes of their answers as they came over the wire.</summary>
    public async Task<(int Requests, long Bytes)> WeightAsync()
    {
        var bytes = 0L;
        foreach (var request in _finished)
        {
            var sizes = await request.SizesAsync();
            bytes += sizes.ResponseBodySize + sizes.ResponseHeadersSize;
        }
        return (_finished.Count, bytes);
    }

    public ValueTask DisposeAsync() => new(_context.CloseAsync());
}
