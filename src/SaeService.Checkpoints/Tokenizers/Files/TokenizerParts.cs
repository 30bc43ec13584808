namespace SaeService.Checkpoints;

/// <summary>A tokenizer taken apart, whichever files it came from.</summary>
/// <param name="File">For messages.</param>
/// <param name="Added">In the order in which they are added; with the id that the file gives them, if it does.</param>
internal sealed record TokenizerParts(
    string File,
    Func<AlignedText, AlignedText> Normalize,
    Func<Pieces, Pieces> PreTokenize,
    TokenModel Model,
    PostProcessor PostProcessor,
    Func<List<string>, List<string>>? Decode,
    IReadOnlyList<(int? Id, AddedToken Token)> Added)
{
    // The largest in use (Gemma 3's) has 33 MB.
    private const long MaxFile = 200_000_000;

    /// <summary>The first of tokenizer.json, tokenizer.model or spiece.model, vocab.json with merges.txt, and vocab.txt that is there.</summary>
    /// <exception cref="CheckpointException">NotFound; Invalid; or Unsupported, naming the part that is not honoured.</exception>
    public static (TokenizerParts Parts, TokenizerConfig Config) Read(string folder)
    {
        var config = TokenizerConfig.Read(folder);
        string? Present(string name) => System.IO.File.Exists(Path.Combine(folder, name)) ? Path.Combine(folder, name) : null;
        if (Present("tokenizer.json") is { } json)
            return (ReadJson(json, config), config);
        if ((Present("tokenizer.model") ?? Present("spiece.model")) is { } model)
            return (SentencePieceFile.Read(model, config), config);
        if (Present("vocab.json") is { } vocab && Present("merges.txt") is { } merges)
            return (VocabularyFiles.ReadMerges(vocab, merges, config), config);
        if (Present("vocab.txt") is { } words)
            return (VocabularyFiles.ReadWords(words, config), config);
        throw new CheckpointException(CheckpointFault.NotFound, folder, null, "holds no tokenizer.json, tokenizer.model, vocab.json with merges.txt, or vocab.txt");
    }

    private static TokenizerParts ReadJson(string file, TokenizerConfig config)
    {
        var json = new StrictJson(CheckpointJson.Read(file, MaxFile), file);
        if (json.Text("version") is { } version && version != "1.0")
            throw json.Unsupported("version", $"'{version}' is not supported");
        // These shape batches; the transformers library, too, turns both off unless a caller asks for them.
        json.Value("truncation", "padding");
        var added = json.List("added_tokens").Select(AddedToken.Read).Select(t => ((int?)t.Id, t.Token)).ToArray();
        var parts = new TokenizerParts(file, Normalizer.Read(json.Nested("normalizer")), PreTokenizer.Read(json.Nested("pre_tokenizer")),
            TokenModel.Read(json.Nested("model") ?? throw json.Invalid("model", "is missing")), PostProcessor.Read(json.Nested("post_processor")),
            json.Nested("decoder") is { } decoder ? Decoder.Read(decoder) : null, added);
        TokenizerJson.RefuseUnread(json);
        config.SurroundLlama(parts);
        return parts;
    }

    /// <summary>The id of a token, added or of the vocabulary.</summary>
    public int? IdOf(string token) => Model.Ids.TryGetValue(token, out var id) ? id : null;
}
