using System.Globalization;
using SaeService.Checkpoints;
using SaeService.Columns;
using SaeService.Corpora;

namespace SaeService.Pipeline;

/// <summary>
/// Attention sinks anywhere in a sequence: vectors longer than ten times the median of their layer (method 1a). A token that is one is not
/// trained on; a word is left out at every layer if its last token is one at any, so that all layers are measured on the same words.
/// </summary>
internal sealed class NormFilters
{
    /// <summary>Times the median norm.</summary>
    public const double Multiple = 10;

    // Keys of the metadata, each with its layer behind it.
    private const string Dropped = "dropped.", Limit = "limit.";

    private readonly Dictionary<int, Column<byte>> _tokens; // layer -> [T], 1 = kept
    private readonly Column<byte> _words;                   // [N], 1 = kept at every layer
    private readonly IReadOnlyDictionary<int, double> _limits;

    private NormFilters(Dictionary<int, Column<byte>> tokens, Column<byte> words, IReadOnlyDictionary<int, double> limits, IReadOnlyDictionary<string, int> wordsDropped) =>
        (_tokens, _words, _limits, WordsDropped) = (tokens, words, limits, wordsDropped);

    /// <summary>Words whose last token is too long, by layer.</summary>
    public IReadOnlyDictionary<string, int> WordsDropped { get; }

    public bool KeepsWord(int word) => _words[word] != 0;

    /// <summary>Rows of a layer's activations that an autoencoder may see: of test documents, or of all others.</summary>
    /// <param name="scratch">Where they lie; default: in memory.</param>
    public Column<int> Tokens(PackedCorpus corpus, int layer, bool test, ScratchSpace? scratch = null)
    {
        var kept = _tokens[layer];
        var partOfToken = PartOfContext(corpus);
        var rows = new ColumnList<int>(scratch ?? ScratchSpace.Heap);
        for (var c = 0; c < corpus.Contexts; c++)
            if (partOfToken[c] == Part.Test == test)
                for (var t = corpus.ContextStart[c]; t < corpus.ContextStart[c + 1]; t++)
                    if (kept[t] != 0)
                        rows.Add(t);
        return rows.Complete();
    }

    /// <param name="norms">By layer: Euclidean norm of every token's vector [T].</param>
    /// <param name="scratch">Where the filters lie; default: in memory.</param>
    public static NormFilters From(PackedCorpus corpus, IReadOnlyDictionary<int, Column<float>> norms, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        var words = scratch.New<byte>(corpus.Words);
        words.Span.Fill(1);
        var tokens = new Dictionary<int, Column<byte>>();
        var limits = new Dictionary<int, double>();
        var dropped = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var (layer, norm) in norms)
        {
            var limit = LongestKept(corpus, norm, scratch);
            var kept = scratch.New<byte>(norm.Length);
            for (var t = 0; t < norm.Length; t++)
                kept[t] = !corpus.SpecialOrExcluded[t] && norm[t] <= limit ? (byte)1 : (byte)0;
            var lost = 0;
            for (var w = 0; w < words.Length; w++)
                if (norm[corpus.LastToken[w]] > limit)
                {
                    words[w] = 0;
                    lost++;
                }
            tokens[layer] = kept;
            limits[layer] = limit;
            dropped[layer.ToString(CultureInfo.InvariantCulture)] = lost;
        }
        return new(tokens, words, limits, dropped);
    }

    private static double LongestKept(PackedCorpus corpus, Column<float> norm, ScratchSpace scratch)
    {
        using var inner = scratch.Inner();
        var usual = new ColumnList<float>(inner);
        for (var t = 0; t < norm.Length; t++)
            if (!corpus.SpecialOrExcluded[t])
                usual.Add(norm[t]);
        usual.Span.Sort();
        return usual.Count == 0 ? double.PositiveInfinity : Multiple * usual[usual.Count / 2];
    }

    public void Save(string path) => SafetensorsWriter.Write(path,
        _tokens.Select(x => new TensorSource($"tokens.{x.Key}", DType.U8, [x.Value.Length], x.Value.WriteTo)).Append(new TensorSource("words", DType.U8, [_words.Length], _words.WriteTo)),
        WordsDropped.Select(x => KeyValuePair.Create(Dropped + x.Key, x.Value.ToString(CultureInfo.InvariantCulture)))
            .Concat(_limits.Select(x => KeyValuePair.Create(string.Create(CultureInfo.InvariantCulture, $"{Limit}{x.Key}"), x.Value.ToString("R", CultureInfo.InvariantCulture))))
            .ToDictionary());

    public static NormFilters Load(string path, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        using var file = SafetensorsFile.Open(path);
        const string Tokens = "tokens.";
        return new(
            file.Tensors.Keys.Where(k => k.StartsWith(Tokens, StringComparison.Ordinal))
                .ToDictionary(k => int.Parse(k[Tokens.Length..], CultureInfo.InvariantCulture), Read),
            Read("words"),
            LimitsIn(file),
            file.Metadata.Where(x => x.Key.StartsWith(Dropped, StringComparison.Ordinal))
                .ToDictionary(x => x.Key[Dropped.Length..], x => int.Parse(x.Value, CultureInfo.InvariantCulture)));

        Column<byte> Read(string name)
        {
            var bytes = file.Bytes(name);
            var column = scratch.New<byte>(bytes.Length);
            bytes.CopyTo(column.Span);
            return column;
        }
    }

    /// <summary>By layer: the norm above which a vector is an attention sink. Of files of older versions, which do not say it: none.</summary>
    public static IReadOnlyDictionary<int, double> LimitsOf(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return LimitsIn(file);
    }

    private static Dictionary<int, double> LimitsIn(SafetensorsFile file) => file.Metadata.Where(x => x.Key.StartsWith(Limit, StringComparison.Ordinal))
        .ToDictionary(x => int.Parse(x.Key[Limit.Length..], CultureInfo.InvariantCulture), x => double.Parse(x.Value, CultureInfo.InvariantCulture));

    // A context holds sentences of one document; where sentences stand for documents it may hold several, and then goes where its first word's does.
    private static Part[] PartOfContext(PackedCorpus corpus)
    {
        var parts = new Part[corpus.Contexts];
        var word = corpus.Words - 1;
        for (var c = corpus.Contexts - 1; c >= 0; c--)
        {
            while (word >= 0 && corpus.FirstToken[word] >= corpus.ContextStart[c])
                parts[c] = corpus.PartOf(word--);
        }
        return parts;
    }
}
