using Microsoft.Playwright;
using SaeService.Explorer.Tests;
using Xunit;

[assembly: AssemblyFixture(typeof(Chromium))]

namespace SaeService.Explorer.Tests;

/// <summary>One headless Chromium a test process: the distribution's own, or the one that <c>SAE_CHROMIUM</c> names. Nothing is downloaded.</summary>
public sealed class Chromium : IAsyncDisposable
{
    private static readonly string[] s_places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];

    // Nothing that a browser does for itself: it would be seen as traffic of the pages, and there may be no network.
    private static readonly string[] s_arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    private static readonly Lazy<Task<(IPlaywright Driver, IBrowser Browser)>> s_started = new(LaunchAsync);

    private static string? Executable => Environment.GetEnvironmentVariable("SAE_CHROMIUM") is { Length: > 0 } named ? (File.Exists(named) ? named : null) : s_places.FirstOrDefault(File.Exists);

    /// <summary>Skips the running test where there is no Chromium.</summary>
    internal static async Task<IBrowser> RequireAsync()
    {
        Assert.SkipWhen(Executable is null, "needs Chromium (Debian: apt-get install chromium), or SAE_CHROMIUM with the path of one");
        return (await s_started.Value).Browser;
    }

    private static async Task<(IPlaywright Driver, IBrowser Browser)> LaunchAsync()
    {
        var driver = await Playwright.CreateAsync();
        return (driver, await driver.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = Executable, Headless = true, Args = s_arguments }));
    }

    public async ValueTask DisposeAsync()
    {
        if (!s_started.IsValueCreated)
            return;
        var (driver, browser) = await s_started.Value;
        await browser.CloseAsync();
        driver.Dispose();
    }
}
