using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace SaeService.Sources.Tests;

/// <summary>A service that speaks UDPipe's protocol and splits on spaces and full stops.</summary>
public sealed class AnnotatorTests : IAsyncLifetime
{
    private readonly WebApplication _app = Build();
    private readonly ConcurrentQueue<Dictionary<string, string>> _seen = new();
    private Func<HttpContext, Task<bool>>? _intercept;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;
    private Uri Url => new(_app.Urls.Single() + "/api/process");

    private static readonly HttpLimits s_limits = new() { FirstDelay = TimeSpan.FromMilliseconds(5), Attempts = 3, HeadTimeout = TimeSpan.FromSeconds(10), IdleTimeout = TimeSpan.FromSeconds(10) };

    private static WebApplication Build()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        return builder.Build();
    }

    public async ValueTask InitializeAsync()
    {
        _app.Urls.Add("http://127.0.0.1:0");
        _app.Run(async context =>
        {
            var form = await context.Request.ReadFormAsync();
            _seen.Enqueue(form.ToDictionary(f => f.Key, f => f.Value.ToString()));
            if (_intercept is { } intercept && await intercept(context))
                return;
            await context.Response.WriteAsync(JsonSerializer.Serialize(new { model = "english-ewt", acknowledgements = new[] { "x" }, result = Annotate(form["data"].ToString()) }));
        });
        await _app.StartAsync();
    }

    /// <summary>As UDPipe writes it: a document and paragraphs, ids from 1 in every answer.</summary>
    private static string Annotate(string text)
    {
        var result = new StringBuilder("# generator = fake\n# newdoc\n");
        var n = 0;
        foreach (var sentence in text.Split(['.', '\n'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            result.Append(System.Globalization.CultureInfo.InvariantCulture, $"# newpar\n# sent_id = {++n}\n# text = {sentence}.\n");
            foreach (var (word, i) in sentence.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((w, i) => (w, i + 1)))
                result.Append(System.Globalization.CultureInfo.InvariantCulture, $"{i}\t{word}\t{word}\tNOUN\t_\t_\t{(i == 1 ? 0 : 1)}\t{(i == 1 ? "root" : "dep")}\t_\t_\n");
            result.Append('\n');
        }
        return result.ToString();
    }

    private async Task<(string Conllu, AnnotationReport Report)> RunAsync(string text, int chunk = 60, string? model = "english")
    {
        using var annotator = new Annotator(Url, model, s_limits, chunk);
        using var written = new StringWriter();
        var report = await annotator.AnnotateAsync("doc", new StringReader(text), written, Ct);
        return (written.ToString(), report);
    }

    [Fact]
    public async Task A_text_goes_in_chunks_and_comes_back_as_one_file()
    {
        var paragraphs = Enumerable.Range(0, 12).Select(i => $"Sentence number{i} one.\nSentence number{i} two.").ToList();
        var text = string.Join("\n\n", paragraphs.Take(8)) + "\n<|endoftext|>\n" + string.Join("\n\n", paragraphs.Skip(8)) + "\n\f\n\n";
        var (conllu, report) = await RunAsync(text);
        Assert.Equal(new AnnotationReport(2, 24, "english-ewt"), report);
        var lines = conllu.Split('\n');
        Assert.Equal(["# newdoc id = doc-1", "# newdoc id = doc-2"], lines.Where(l => l.StartsWith("# newdoc", StringComparison.Ordinal)));
        var ids = lines.Where(l => l.StartsWith("# sent_id", StringComparison.Ordinal)).Select(l => l["# sent_id = ".Length..]).ToList();
        Assert.Equal(Enumerable.Range(1, 24).Select(n => $"doc-{(n <= 16 ? 1 : 2)}-{n}"), ids);
        Assert.Equal(Enumerable.Range(0, 12), lines.Where(l => l.Contains("one.", StringComparison.Ordinal)).Select(l => int.Parse(l.Split("number")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture)));
        Assert.True(_seen.Count > 6);
        Assert.All(_seen, form =>
        {
            Assert.InRange(form["data"].Length, 1, 61);
            Assert.Equal(("english", "conllu", "", "", ""), (form["model"], form["output"], form["tokenizer"], form["tagger"], form["parser"]));
            // Whole sentences, and of one document.
            Assert.EndsWith(".", form["data"].Trim(), StringComparison.Ordinal);
            Assert.DoesNotContain("endoftext", form["data"], StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_text_without_paragraphs_is_cut_where_sentences_end()
    {
        var text = string.Join(" ", Enumerable.Range(0, 40).Select(i => $"Word{i} and more."));
        var (conllu, report) = await RunAsync(text, chunk: 100);
        Assert.Equal((1, 40), (report.Documents, report.Sentences));
        Assert.Equal(40, conllu.Split('\n').Count(l => l.StartsWith("1\tWord", StringComparison.Ordinal)));
        // Wrapped lines too.
        Assert.Equal(40, (await RunAsync(text.Replace(" and", "\nand", StringComparison.Ordinal).Replace(". ", ".\n", StringComparison.Ordinal), chunk: 100)).Report.Documents * 40);
        // And where there is no sentence and no space, anywhere but inside a character.
        Assert.All((await RunAsync(string.Concat(Enumerable.Repeat("😀", 200)), chunk: 99)).Conllu.Split('\n'), line => Assert.DoesNotContain('\uFFFD', line));
    }

    [Fact]
    public async Task A_service_that_fails_once_is_asked_again_and_one_that_answers_nonsense_is_not_believed()
    {
        var failures = 1;
        _intercept = context =>
        {
            if (Interlocked.Decrement(ref failures) < 0)
                return Task.FromResult(false);
            context.Response.StatusCode = 503;
            return Task.FromResult(true);
        };
        Assert.Equal(1, (await RunAsync("One sentence.")).Report.Sentences);

        foreach (var (answer, fault) in new[]
        {
            ("<html>", SourceFault.Damaged), ("{}", SourceFault.Damaged), ("{\"result\":5}", SourceFault.Damaged), ("{\"result\":null}", SourceFault.Damaged),
            ("{\"result\":\"1\\tonly\\tthree\\n\\n\"}", SourceFault.Damaged), (new string('x', 3 << 20), SourceFault.Refused),
        })
        {
            _intercept = async context =>
            {
                await context.Response.WriteAsync(answer);
                return true;
            };
            Assert.Equal(fault, (await Assert.ThrowsAsync<SourceException>(() => RunAsync("One sentence."))).Fault);
        }
        _intercept = context =>
        {
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = "http://127.0.0.1:1/";
            return Task.FromResult(true);
        };
        Assert.Equal(SourceFault.Refused, (await Assert.ThrowsAsync<SourceException>(() => RunAsync("One sentence."))).Fault);
        Assert.Equal(new AnnotationReport(0, 0, "english"), (await RunAsync("  \n\n")).Report);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
