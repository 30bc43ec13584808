using System.Text;
using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>The format of a file: what its extension says, <c>.gz</c> and <c>.zst</c> apart, else what its first bytes look like.</summary>
internal static class FormatDetection
{
    private const int SampleBytes = 1 << 16, SampleLines = 200;

    public static CorpusFormat? ByName(string path)
    {
        var name = Path.GetFileName(path);
        if (Path.GetExtension(name).ToLowerInvariant() is ".gz" or ".zst" or ".zstd")
            name = Path.GetFileNameWithoutExtension(name);
        return Path.GetExtension(name).ToLowerInvariant() switch
        {
            ".conllu" or ".connlu" => CorpusFormat.Conllu,
            ".conll" or ".iob" or ".iob2" or ".bio" => CorpusFormat.Conll,
            ".jsonl" or ".ndjson" => CorpusFormat.Jsonl,
            ".json" => CorpusFormat.Json,
            ".parquet" => CorpusFormat.Parquet,
            var extension when extension.EndsWith("_conll", StringComparison.Ordinal) => CorpusFormat.Conll, // x.v4_gold_conll of CoNLL-2012
            _ => null,
        };
    }

    /// <exception cref="CorpusException">The first bytes are of no text and of no known binary format.</exception>
    public static CorpusFormat? ByContent(string path, int maxExpansion)
    {
        using var stream = new CorpusStream(path, maxExpansion);
        var sample = new byte[SampleBytes];
        var length = stream.ReadAtLeast(sample, sample.Length, throwOnEndOfStream: false);
        var bytes = sample.AsSpan(0, length);
        if (bytes.StartsWith("PAR1"u8))
            return CorpusFormat.Parquet;
        if (bytes.IndexOf((byte)0) is var zero and >= 0)
            throw new CorpusException(stream.File, null, null, $"a NUL byte at byte offset {zero}: neither UTF-8 text nor Parquet");
        var lines = Encoding.UTF8.GetString(bytes).TrimStart('\uFEFF').Split('\n');
        // The last line may be cut where the sample ends.
        var whole = length == SampleBytes && lines.Length > 1 ? lines[..^1] : lines;
        var text = whole.Select(l => l.TrimEnd('\r')).Where(l => !string.IsNullOrWhiteSpace(l)).Take(SampleLines).ToArray();
        return lines[0].TrimStart() is ['[', ..] or ['{', ..] || text is [['[', ..], ..] or [['{', ..], ..]
            ? OfJson(text, cut: length == SampleBytes && lines.Length == 1) : OfLines(text);
    }

    private static CorpusFormat? OfJson(string[] lines, bool cut)
    {
        if (cut || lines[0].TrimStart()[0] == '[')
            return CorpusFormat.Json;
        try
        {
            using var _ = JsonDocument.Parse(lines[0]);
            return CorpusFormat.Jsonl;
        }
        catch (JsonException)
        {
            return CorpusFormat.Json; // an object over several lines
        }
    }

    private static CorpusFormat? OfLines(string[] lines)
    {
        if (lines.Length == 0)
            return null;
        if (lines[0].StartsWith("#begin document", StringComparison.Ordinal))
            return CorpusFormat.Conll;
        var rows = lines.Where(l => !IsComment(l) && !l.StartsWith("-DOCSTART-", StringComparison.Ordinal)).ToArray();
        if (rows.Length == 0)
            return CorpusFormat.Text;
        var tabs = rows[0].Contains('\t');
        var fields = Array.ConvertAll(rows, r => tabs ? r.Split('\t') : r.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var width = fields[0].Length;
        if (width == 10 && tabs && char.IsAsciiDigit(rows[0][0]))
            return CorpusFormat.Conllu;
        // Prose may have two or three words a line; tags tell columns from it.
        return width >= 2 && Array.TrueForAll(fields, f => f.Length == width) && (tabs || (width <= 5 && Array.TrueForAll(fields, f => LooksLikeTag(f[^1]))))
            ? CorpusFormat.Conll : CorpusFormat.Text;
    }

    private static bool IsComment(string line) => line.StartsWith("# ", StringComparison.Ordinal)
        && (line.Contains('=') || line.StartsWith("# newdoc", StringComparison.Ordinal) || line.StartsWith("# newpar", StringComparison.Ordinal));

    private static bool LooksLikeTag(string value) => ColumnReader.LooksLikeChunk(value) || !value.Any(char.IsLower);
}
