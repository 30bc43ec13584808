namespace SaeService.Checkpoints;

/// <summary>Token ids with, for each, its span [Start, End) in UTF-16 units of the original text; (0, 0) for tokens that are not of the text.</summary>
public sealed record TokenEncoding(int[] Ids, (int Start, int End)[] Offsets);

/// <summary>
/// A tokenizer.json: added tokens are cut out, the rest is normalised, cut into pieces, and encoded by the model. Ids and offsets equal those of the
/// Hugging Face tokenizers library. Safe for use by several threads.
/// </summary>
public sealed class Tokenizer
{
    private const long MaxFile = 200_000_000;

    private readonly Func<AlignedText, AlignedText> _normalize;
    private readonly Func<Pieces, Pieces> _preTokenize;
    private readonly BpeModel _model;
    private readonly PostProcessor _postProcessor;
    private readonly Func<List<string>, List<string>>? _decode;
    private readonly AddedTokenMatcher _addedInOriginal, _addedInNormalized;
    private readonly string?[] _tokens;

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize => _tokens.Length;

    /// <summary>Ids that the file marks as special.</summary>
    public IReadOnlySet<int> SpecialIds { get; }

    /// <summary>The id that the tokenizer's own template puts before a text; null if it puts none.</summary>
    public int? BosId => _postProcessor.Prefix is [var first, ..] ? first : null;

    /// <exception cref="CheckpointException">NotFound; Invalid; or Unsupported, naming the part that is not honoured.</exception>
    public static Tokenizer Load(string modelFolder)
    {
        var file = Path.Combine(modelFolder, "tokenizer.json");
        if (!File.Exists(file))
            throw new CheckpointException(CheckpointFault.NotFound, modelFolder, null, "holds no tokenizer.json");
        try
        {
            return new Tokenizer(new StrictJson(CheckpointJson.Read(file, MaxFile), file));
        }
        catch (InvalidOperationException e)
        {
            // A value of another kind than the format has there, in a place that no reader checked.
            throw new CheckpointException(CheckpointFault.Invalid, file, null, e.Message, e);
        }
    }

    private Tokenizer(StrictJson json)
    {
        if (json.Text("version") is { } version && version != "1.0")
            throw json.Unsupported("version", $"'{version}' is not supported");
        // These shape batches; the transformers library, too, turns both off unless a caller asks for them.
        json.Value("truncation", "padding");
        var added = json.List("added_tokens").Select(AddedToken.Read).ToArray();
        _normalize = Normalizer.Read(json.Nested("normalizer"));
        _preTokenize = PreTokenizer.Read(json.Nested("pre_tokenizer"));
        _model = new BpeModel(json.Nested("model") ?? throw json.Invalid("model", "is missing"));
        _postProcessor = PostProcessor.Read(json.Nested("post_processor"));
        _decode = json.Nested("decoder") is { } decoder ? Decoder.Read(decoder) : null;
        TokenizerJson.RefuseUnread(json);

        _tokens = new string?[1 + Math.Max(_model.Ids.Values.DefaultIfEmpty(-1).Max(), added.Select(t => t.Id).DefaultIfEmpty(-1).Max())];
        foreach (var (token, id) in _model.Ids)
            _tokens[id] = token;
        foreach (var token in added)
        {
            if ((_tokens[token.Id] ?? token.Content) != token.Content || (_model.Ids.TryGetValue(token.Content, out var known) && known != token.Id))
                throw json.Invalid("added_tokens", $"'{token.Content}' ({token.Id}) contradicts the vocabulary");
            _tokens[token.Id] = token.Content;
        }
        foreach (var id in _postProcessor.Prefix.Concat(_postProcessor.Suffix))
            if (id >= _tokens.Length || _tokens[id] is null)
                throw json.Invalid("post_processor", $"id {id} is not in the vocabulary");
        _addedInOriginal = new(added.Where(t => !t.Normalized).Select(t => (t.Content, t.Id)));
        _addedInNormalized = new(added.Where(t => t.Normalized).Select(t => (Normalized(t.Content), t.Id)).Where(t => t.Item1.Length > 0));
        SpecialIds = added.Where(t => t.Special).Select(t => t.Id).ToHashSet();
    }

    /// <summary>Encodes a text of any length.</summary>
    /// <param name="text">The original; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether to add what the tokenizer's template puts around a text. Special tokens written out in the text are found either way.</param>
    public TokenEncoding Encode(string text, bool addSpecialTokens)
    {
        List<int> ids = [];
        List<(int Start, int End)> spans = [];
        for (int from = 0, start, end, id; from < text.Length; from = end)
        {
            (start, end, id) = _addedInOriginal.Next(text, from);
            if (from < start)
                EncodeSegment(_normalize(AlignedText.Of(text, from, start)), ids, spans);
            if (id >= 0)
                Add(id, (start, end));
        }
        _postProcessor.TrimOffsets(ids, spans, id => _tokens[id]!);
        if (!addSpecialTokens)
            return new TokenEncoding([.. ids], [.. spans]);
        var (prefix, suffix) = (_postProcessor.Prefix, _postProcessor.Suffix);
        return new TokenEncoding([.. prefix, .. ids, .. suffix], [.. prefix.Select(_ => (0, 0)), .. spans, .. suffix.Select(_ => (0, 0))]);

        void Add(int id, (int, int) span)
        {
            ids.Add(id);
            spans.Add(span);
        }
    }

    private void EncodeSegment(AlignedText text, List<int> ids, List<(int, int)> spans)
    {
        for (int from = 0, start, end, id; from < text.Length; from = end)
        {
            (start, end, id) = _addedInNormalized.Next(text.Chars, from);
            if (from < start)
            {
                var pieces = _preTokenize(new Pieces(text, [(from, start)]));
                foreach (var (pieceStart, pieceEnd) in pieces.Ranges)
                    _model.Encode(pieces.Text, pieceStart, pieceEnd, ids, spans);
            }
            if (id >= 0)
            {
                ids.Add(id);
                spans.Add(text.Original(start, end));
            }
        }
    }

    /// <summary>The text of the ids, special tokens included as they are written.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
            tokens.Add(Raw(id));
        // Without a decoder the library joins the tokens with spaces.
        return _decode is null ? string.Join(' ', tokens) : string.Concat(_decode(tokens));
    }

    /// <summary>One token as a reader would write it, its leading space kept: " world"; bytes that are no character by themselves as &lt;0xE2&gt;.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id outside the vocabulary.</exception>
    public string TokenText(int id)
    {
        var token = Raw(id);
        if (_decode is null || SpecialIds.Contains(id))
            return token;
        // Between two ordinary characters, so that what decoders do at the ends of a text does not touch it.
        var decoded = string.Concat(_decode(["x", token, "x"]));
        var text = decoded.StartsWith('x') && decoded.EndsWith('x') && decoded.Length >= 2 ? decoded[1..^1] : token;
        if (!text.Contains('\uFFFD') || token.Contains('\uFFFD'))
            return text;
        return Decoder.ByteOf(token) is not null ? token : string.Concat(ByteAlphabet.BytesOf(token).Select(b => BpeModel.ByteToken(b)));
    }

    private string Raw(int id) => id >= 0 && id < _tokens.Length && _tokens[id] is { } token
        ? token
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"not an id of this vocabulary of {_tokens.Length}");

    private string Normalized(string text) => new(_normalize(AlignedText.Of(text, 0, text.Length)).Chars);
}
