using System.Net;
using System.Text.RegularExpressions;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>From the start page by links alone: nothing leads to an error, and everything is led to.</summary>
/// <remarks>Not beside tests that delete a job of their own, which the start page lists while it lives.</remarks>
[Collection("jobs that come and go")]
public sealed partial class CrawlTests(Site site)
{
    /// <summary>Of one kind of address, as many are asked for; a table of features has links to thousands.</summary>
    private const int EachKind = 6;

    [Fact]
    public async Task Every_link_leads_somewhere_and_every_page_is_led_to()
    {
        using var http = new HttpClient { BaseAddress = site.Address };
        http.DefaultRequestHeaders.Accept.ParseAdd("text/html,*/*;q=0.8");
        var (seen, kinds, broken) = (new HashSet<string> { "/" }, new Dictionary<string, int>(), new List<string>());
        var waiting = new Queue<(string Path, string From)>([("/", "")]);
        while (waiting.TryDequeue(out var next))
        {
            using var answer = await http.GetAsync(next.Path, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
            if (!answer.IsSuccessStatusCode)
                broken.Add($"{(int)answer.StatusCode} {next.Path} from {next.From}");
            // Swagger UI and the dashboard are others' pages, a report is a file.
            if (answer.Content.Headers.ContentType?.MediaType != "text/html" || Foreign().IsMatch(next.Path))
                continue;
            var html = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            foreach (Match match in Link().Matches(html))
            {
                var target = new Uri(new Uri(site.Address, next.Path), WebUtility.HtmlDecode(match.Groups["address"].Value));
                if (target.Authority != site.Address.Authority || target.Scheme != site.Address.Scheme)
                    continue;
                if (target.AbsolutePath == next.Path.Split('?')[0] && target.Fragment.Length > 1)
                    if (target.PathAndQuery == next.Path && !html.Contains($"id=\"{Uri.UnescapeDataString(target.Fragment[1..])}\"", StringComparison.Ordinal))
                        broken.Add($"nothing is called {target.Fragment} on {next.Path}");
                var kind = Kind(target);
                if (kinds.GetValueOrDefault(kind) < EachKind && seen.Add(target.PathAndQuery))
                {
                    kinds[kind] = kinds.GetValueOrDefault(kind) + 1;
                    waiting.Enqueue((target.PathAndQuery, next.Path));
                }
            }
        }
        Visit.AssertNone(broken);
        Assert.Equal([], site.Pages.Values.Select(path => Kind(new Uri(site.Address, path.Split('?')[0]))).Distinct().Where(kind => !kinds.ContainsKey(kind) && kind != "/"));
        TestContext.Current.TestOutputHelper?.WriteLine($"{seen.Count} addresses of {kinds.Count} kinds");
    }

    /// <summary>The address with its job, layer and feature left out, and the names of its query.</summary>
    private static string Kind(Uri address) =>
        Number().Replace(address.AbsolutePath, "#") + string.Concat(address.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Select(x => "&" + x.Split('=')[0]));

    [GeneratedRegex("""<a\s[^>]*?href="(?<address>[^"]*)""", RegexOptions.Singleline)]
    private static partial Regex Link();

    [GeneratedRegex(@"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/|$)")]
    private static partial Regex Number();

    [GeneratedRegex("^/(swagger|hangfire)|report\\.html")]
    private static partial Regex Foreign();
}
