namespace SaeService.Checkpoints;

/// <summary>Token ids with, for each, its span [Start, End) in UTF-16 units of the original text; (0, 0) for tokens that are not of the text.</summary>
public sealed record TokenEncoding(int[] Ids, (int Start, int End)[] Offsets);

/// <summary>
/// A tokenizer: added tokens are cut out, the rest is normalised, cut into pieces, and encoded by the model. Ids and offsets equal those of the
/// Hugging Face tokenizers library. Safe for use by several threads.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly AddedTokenFinder _inOriginal, _inNormalized;
    private readonly string?[] _tokens;

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize => _tokens.Length;

    /// <summary>Ids that the file marks as special.</summary>
    public IReadOnlySet<int> SpecialIds { get; }

    /// <summary>Ids that the tokenizer's template puts before a text.</summary>
    public IReadOnlyList<int> Prefix => _parts.PostProcessor.Prefix;

    /// <summary>Ids that the tokenizer's template puts after a text.</summary>
    public IReadOnlyList<int> Suffix => _parts.PostProcessor.Suffix;

    /// <summary>The id that the tokenizer's own template puts before a text; null if it puts none.</summary>
    public int? BosId => Prefix is [var first, ..] ? first : null;

    /// <summary>The id that fills up short texts; null where no file names one.</summary>
    public int? PadId { get; }

    /// <summary>Reads tokenizer.json, or else tokenizer.model, vocab.json with merges.txt, or vocab.txt, with tokenizer_config.json and special_tokens_map.json.</summary>
    /// <exception cref="CheckpointException">NotFound; Invalid; or Unsupported, naming the part that is not honoured.</exception>
    public static Tokenizer Load(string modelFolder)
    {
        try
        {
            var (parts, config) = TokenizerParts.Read(modelFolder);
            return new Tokenizer(parts, config);
        }
        catch (InvalidOperationException e)
        {
            // A value of another kind than the format has there, in a place that no reader checked.
            throw new CheckpointException(CheckpointFault.Invalid, modelFolder, null, e.Message, e);
        }
    }

    private Tokenizer(TokenizerParts parts, TokenizerConfig config)
    {
        _parts = parts;
        var added = new AddedVocabulary(parts);
        _tokens = new string?[1 + Math.Max(parts.Model.Ids.Values.DefaultIfEmpty(-1).Max(), added.ById.Keys.DefaultIfEmpty(-1).Max())];
        foreach (var (token, id) in parts.Model.Ids)
            _tokens[id] = token;
        foreach (var (id, token) in added.ById)
            _tokens[id] = token.Content;
        foreach (var id in Prefix.Concat(Suffix))
            if (id >= _tokens.Length || _tokens[id] is null)
                throw new CheckpointException(CheckpointFault.Invalid, parts.File, "post_processor", $"id {id} is not in the vocabulary");
        (_inOriginal, _inNormalized, SpecialIds) = (added.InOriginal, added.InNormalized, added.SpecialIds);
        if (config.Special("pad_token") is { } pad && Array.IndexOf(_tokens, pad) is >= 0 and var padId)
            PadId = padId;
    }

    /// <summary>Encodes a text of any length.</summary>
    /// <param name="text">The original; lone surrogates count as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether to add what the tokenizer's template puts around a text. Special tokens written out in the text are found either way.</param>
    /// <exception cref="CheckpointException">The text has what the vocabulary has no token for, and no unknown token stands in; or a pattern of the tokenizer's takes too long on it.</exception>
    public TokenEncoding Encode(string text, bool addSpecialTokens)
    {
        var tokens = new TokenList(_parts.PostProcessor.Trims);
        var done = 0;
        foreach (var (start, end, id) in _inOriginal.Find(text))
        {
            EncodeSegment(text, done, start, tokens);
            if (end > start)
                tokens.Add(id, (start, end), text.AsSpan(start, end - start));
            done = end;
        }
        EncodeSegment(text, done, text.Length, tokens);
        _parts.PostProcessor.TrimOffsets(text, tokens, id => _tokens[id]!);
        if (!addSpecialTokens)
            return new TokenEncoding([.. tokens.Ids], [.. tokens.Spans]);
        return new TokenEncoding([.. Prefix, .. tokens.Ids, .. Suffix], [.. Prefix.Select(_ => (0, 0)), .. tokens.Spans, .. Suffix.Select(_ => (0, 0))]);
    }

    private void EncodeSegment(string original, int from, int to, TokenList tokens)
    {
        if (from >= to)
            return;
        var text = _parts.Normalize(AlignedText.Of(original, from, to));
        var done = 0;
        foreach (var (start, end, id) in _inNormalized.Find(text.Chars))
        {
            EncodePieces(text, done, start, tokens);
            if (end > start)
                tokens.Add(id, text.Original(start, end), text.Chars[start..end]);
            done = end;
        }
        EncodePieces(text, done, text.Length, tokens);
    }

    private void EncodePieces(AlignedText text, int from, int to, TokenList tokens)
    {
        if (from >= to)
            return;
        var pieces = _parts.PreTokenize(new Pieces(text, [(from, to)]));
        foreach (var (start, end) in pieces.Ranges)
            if (start < end)
                _parts.Model.Encode(pieces.Text, start, end, tokens);
    }

    /// <summary>The text of the ids, special tokens included as they are written.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
            tokens.Add(Raw(id));
        // Without a decoder the library joins the tokens with spaces.
        return _parts.Decode is { } decode ? string.Concat(decode(tokens)) : string.Join(' ', tokens);
    }

    /// <summary>One token as a reader would write it, its leading space kept: " world"; bytes that are no character by themselves as &lt;0xE2&gt;.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id outside the vocabulary.</exception>
    public string TokenText(int id)
    {
        var token = Raw(id);
        if (_parts.Decode is not { } decode || SpecialIds.Contains(id))
            return token;
        // Between two ordinary tokens, so that what decoders do at the ends of a text does not touch it.
        var decoded = string.Concat(decode(["x", token, "x"]));
        var end = string.Concat(decode(["x", "x"]))[1..];
        var text = decoded.StartsWith('x') && decoded.EndsWith(end, StringComparison.Ordinal) && decoded.Length > end.Length ? decoded[1..^end.Length] : token;
        if (!text.Contains('\uFFFD') || token.Contains('\uFFFD'))
            return text;
        return Decoder.ByteOf(token) is not null ? token : string.Concat(ByteAlphabet.BytesOf(token).Select(b => BpeModel.ByteToken(b)));
    }

    private string Raw(int id) => id >= 0 && id < _tokens.Length && _tokens[id] is { } token
        ? token
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"not an id of this vocabulary of {_tokens.Length}");
}
