using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace SaeService.Sources;

/// <param name="Documents">Documents that had text.</param>
/// <param name="Model">The annotator's own name of the model it used.</param>
public sealed record AnnotationReport(int Documents, int Sentences, string Model);

/// <summary>
/// Text without labels to CoNLL-U, through a service that speaks UDPipe's protocol (https://lindat.mff.cuni.cz/services/udpipe/api-reference.php):
/// <c>POST process</c> with <c>data</c>, <c>model</c>, <c>tokenizer</c>, <c>tagger</c>, <c>parser</c>; the answer is JSON with <c>result</c>. The text goes
/// in chunks of whole paragraphs, and comes back as one file with document and sentence ids of its own.
/// </summary>
public sealed class Annotator : IDisposable
{
    /// <summary>A line that ends a document, besides a form feed.</summary>
    public const string DocumentEnd = "<|endoftext|>";
    private const int MaxParagraph = 1 << 20;
    private readonly SourceHttp _http;
    private readonly Uri _url;
    private readonly string? _model;
    private readonly HttpLimits _limits;
    private readonly int _chunk;

    /// <param name="url">Of the call <c>process</c>.</param>
    /// <param name="model">Null: the service's own choice.</param>
    /// <param name="chunkCharacters">About so much is sent at a time.</param>
    public Annotator(Uri url, string? model, HttpLimits? limits = null, int chunkCharacters = 30_000, bool proxy = false, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        (_url, _model, _chunk) = (url, model, chunkCharacters);
        // The operator named the address; it redirects nowhere. Parsing a chunk takes its time before the first byte of the answer.
        _limits = (limits ?? new HttpLimits { HeadTimeout = TimeSpan.FromMinutes(5) }) with { MaxRedirects = 0 };
        _http = new SourceHttp(new HostRules([url], [], originsNamed: true, hostsNamed: false), proxy: proxy, resolve: resolve);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Annotates all of a text. Memory grows with a chunk, not with the text.</summary>
    /// <param name="name">Begins the ids of documents: name-1, name-2 …</param>
    /// <exception cref="SourceException">The service can not be reached, refuses, or answers with something else than CoNLL-U.</exception>
    public async Task<AnnotationReport> AnnotateAsync(string name, TextReader text, TextWriter conllu, CancellationToken ct)
    {
        var (documents, sentences, used) = (0, 0, _model ?? "");
        var begun = false;
        await foreach (var (chunk, ends) in ChunksAsync(text, ct))
        {
            if (chunk.Length > 0)
            {
                var (result, model) = await ProcessAsync(chunk, ct);
                used = model ?? used;
                if (!begun)
                    await conllu.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"# newdoc id = {name}-{++documents}\n"));
                begun = true;
                sentences = await CopyAsync(result, string.Create(CultureInfo.InvariantCulture, $"{name}-{documents}"), sentences, conllu, ct);
            }
            begun &= !ends;
        }
        return new AnnotationReport(documents, sentences, used);
    }

    private async Task<(string Result, string? Model)> ProcessAsync(string chunk, CancellationToken ct)
    {
        // Ten columns of a word of three letters, with features and enhanced dependencies, and as JSON.
        var most = 400L * Encoding.UTF8.GetByteCount(chunk) + (1 << 20);
        var json = await _limits.RetryAsync(async () =>
        {
            using var answer = await _http.SendAsync(() => new HttpRequestMessage(HttpMethod.Post, _url) { Content = Form(chunk) }, _limits, ct);
            return await answer.ReadAllAsync(most, ct);
        }, ct);
        try
        {
            using var document = JsonDocument.Parse(json);
            return (document.RootElement.GetProperty("result").GetString() ?? throw new JsonException("its result is null"), document.RootElement.TryGetProperty("model", out var model) ? model.GetString() : null);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new SourceException(SourceFault.Damaged, $"the annotator's answer is not understood (Annotator:Url must be UDPipe's 'process' call): {e.Message}", e);
        }
    }

    private MultipartFormDataContent Form(string chunk)
    {
        var form = new MultipartFormDataContent { { new StringContent(chunk, Encoding.UTF8), "data" }, { new StringContent("conllu"), "output" } };
        foreach (var step in new[] { "tokenizer", "tagger", "parser" })
            form.Add(new StringContent(""), step);
        if (_model is not null)
            form.Add(new StringContent(_model), "model");
        return form;
    }

    /// <summary>Sentences of an answer, with ids that go on; what the service numbers starts anew with every chunk.</summary>
    private static async Task<int> CopyAsync(string result, string document, int sentences, TextWriter conllu, CancellationToken ct)
    {
        var open = false;
        var comments = new List<string>();
        foreach (var raw in result.Split('\n'))
        {
            var line = raw.TrimEnd('\r');
            if (line.StartsWith('#'))
            {
                // Of the comments only the text says something that holds for the whole.
                if (line.StartsWith("# text", StringComparison.Ordinal))
                    comments.Add(line);
                continue;
            }
            if (line.Length == 0)
            {
                if (open)
                    await conllu.WriteAsync("\n".AsMemory(), ct);
                open = false;
                comments.Clear();
                continue;
            }
            if (line.AsSpan().Count('\t') != 9)
                throw new SourceException(SourceFault.Damaged, $"the annotator's answer is not CoNLL-U: '{(line.Length <= 80 ? line : line[..80] + "…")}'");
            if (!open)
            {
                await conllu.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"# sent_id = {document}-{++sentences}\n").AsMemory(), ct);
                foreach (var comment in comments)
                    await conllu.WriteAsync((comment + "\n").AsMemory(), ct);
                open = true;
            }
            await conllu.WriteAsync((line + "\n").AsMemory(), ct);
        }
        if (open)
            await conllu.WriteAsync("\n".AsMemory(), ct);
        return sentences;
    }

    /// <summary>Whole paragraphs, together about as long as a chunk; where a document ends, with that mark, and maybe nothing else.</summary>
    private async IAsyncEnumerable<(string Text, bool Ends)> ChunksAsync(TextReader text, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var chunk = new StringBuilder();
        var paragraph = new StringBuilder();
        while (true)
        {
            var line = await ReadLineAsync(text, ct);
            var ends = line is null || line.Contains('\f') || line.Trim() == DocumentEnd;
            if (!ends && !string.IsNullOrWhiteSpace(line))
            {
                paragraph.Append(line).Append('\n');
                // A text without blank lines is cut where a sentence ends, or at least a word.
                if (paragraph.Length <= _chunk)
                    continue;
            }
            var pieces = Pieces(paragraph.ToString()).ToList();
            paragraph.Clear();
            if (!ends && !string.IsNullOrWhiteSpace(line))
            {
                // What is left after the last cut goes on with the next line.
                paragraph.Append(pieces[^1]);
                pieces.RemoveAt(pieces.Count - 1);
            }
            foreach (var piece in pieces)
            {
                if (chunk.Length > 0 && chunk.Length + piece.Length > _chunk)
                {
                    yield return (chunk.ToString(), false);
                    chunk.Clear();
                }
                chunk.Append(chunk.Length > 0 ? "\n" : "").Append(piece);
            }
            if (!ends)
                continue;
            yield return (chunk.ToString(), true);
            chunk.Clear();
            if (line is null)
                yield break;
        }
    }

    private static async Task<string?> ReadLineAsync(TextReader text, CancellationToken ct)
    {
        var line = await text.ReadLineAsync(ct);
        return line?.Length > MaxParagraph ? throw new SourceException(SourceFault.Refused, $"a line of the text has {line.Length} characters; at most {MaxParagraph} are taken") : line;
    }

    private IEnumerable<string> Pieces(string paragraph)
    {
        while (paragraph.Length > _chunk)
        {
            var window = paragraph.AsSpan(0, _chunk);
            // After the last end of a sentence in the second half, else after the last space, else anywhere but inside a character.
            var cut = Math.Max(Math.Max(window.LastIndexOf(". "), window.LastIndexOf(".\n")), Math.Max(window.LastIndexOf("! "), window.LastIndexOf("? "))) + 1;
            if (cut < _chunk / 2)
                cut = window.LastIndexOfAny(' ', '\n') + 1;
            if (cut <= 0)
                cut = char.IsHighSurrogate(paragraph[_chunk - 1]) ? _chunk - 1 : _chunk;
            yield return paragraph[..cut];
            paragraph = paragraph[cut..].TrimStart();
        }
        if (paragraph.Length > 0)
            yield return paragraph;
    }
}
