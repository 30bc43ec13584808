using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>Tokenizers from before tokenizer.json, put together as the transformers library converts them.</summary>
internal static class VocabularyFiles
{
    private const long MaxFile = 100_000_000;

    private static readonly string[] s_bert = ["Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "SqueezeBert", "LayoutLM", "RetriBert", "DPRQuestionEncoder", "DPRContextEncoder"];
    private static readonly string[] s_gpt2 = ["GPT2", "OPT", "GPTNeo", "CodeGen", "PreTrained"];
    private static readonly string[] s_roberta = ["Roberta", "Bart", "Longformer", "LED"];

    /// <summary>vocab.txt: BERT's WordPiece, a token a line.</summary>
    public static TokenizerParts ReadWords(string file, TokenizerConfig config)
    {
        if (config.Class is { } kind && !s_bert.Contains(kind))
            throw config.Unsupported(file, "tokenizer_class", $"'{kind}' is not supported without a tokenizer.json");
        if (!config.Flag("do_basic_tokenize", true) || config.Flag("never_split") is true)
            throw config.Unsupported(file, "do_basic_tokenize", "= false is not supported");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var lines = ReadLines(file);
        for (var i = 0; i < lines.Count; i++)
            ids[lines[i]] = i;
        CheckpointException Invalid(string message) => new(CheckpointFault.Invalid, file, null, message);
        var unknown = config.Special("unk_token") ?? "[UNK]";
        var lower = config.Flag("do_lower_case", true);
        var normalizer = new Dictionary<string, object?>
        {
            ["type"] = "BertNormalizer",
            ["clean_text"] = true,
            ["handle_chinese_chars"] = config.Flag("tokenize_chinese_chars", true),
            ["strip_accents"] = config.Flag("strip_accents"),
            ["lowercase"] = lower,
        };
        int Id(string role, string usual) => ids.TryGetValue(config.Special(role) ?? usual, out var id) ? id : throw Invalid($"has no token '{config.Special(role) ?? usual}'");
        var processor = new PostProcessor();
        processor.Surround([Id("cls_token", "[CLS]")], [Id("sep_token", "[SEP]")]);
        return new TokenizerParts(file, Normalizer.Read(Section(file, normalizer)), PreTokenizer.Read(Section(file, new { type = "BertPreTokenizer" })),
            new WordPieceModel(ids, unknown, "##", 100, Invalid), processor, Decoder.Read(Section(file, new { type = "WordPiece", prefix = "##", cleanup = true })),
            config.Added(Plain("unk_token", unknown), Plain("sep_token", "[SEP]"), Plain("pad_token", "[PAD]"), Plain("cls_token", "[CLS]"), Plain("mask_token", "[MASK]")));
    }

    /// <summary>vocab.json and merges.txt: byte-level BPE of GPT-2's, RoBERTa's or Qwen 2's kind.</summary>
    public static TokenizerParts ReadMerges(string file, string mergesFile, TokenizerConfig config)
    {
        var kind = config.Class ?? "GPT2";
        var roberta = s_roberta.Contains(kind);
        if (!roberta && kind != "Qwen2" && !s_gpt2.Contains(kind))
            throw config.Unsupported(file, "tokenizer_class", $"'{kind}' is not supported without a tokenizer.json");
        var ids = TokenizerJson.Vocabulary(CheckpointJson.Read(file, MaxFile), (name, message) => new CheckpointException(CheckpointFault.Invalid, file, name, message));
        var pairs = ReadPairs(mergesFile);
        var merges = BpeModel.Merges(ids, pairs, "", (i, message) => new CheckpointException(CheckpointFault.Invalid, mergesFile, $"merge {i + 1}", message));
        var model = new BpeModel(ids, merges, pairs, new BpeOptions(null, false, false, false, "", ""), message => new CheckpointException(CheckpointFault.Invalid, file, null, message));
        var addSpace = config.Flag("add_prefix_space", false);
        var bytes = new { type = "ByteLevel", add_prefix_space = addSpace, trim_offsets = true, use_regex = true };
        object cut = kind == "Qwen2"
            ? new
            {
                type = "Sequence",
                pretokenizers = new object[]
                {
                    new { type = "Split", pattern = new { Regex = WordScanner.Qwen2 }, behavior = "Isolated", invert = false },
                    bytes with { use_regex = false },
                },
            }
            : bytes;
        int Id(string role, string usual) => ids.TryGetValue(config.Special(role) ?? usual, out var id)
            ? id
            : throw new CheckpointException(CheckpointFault.Invalid, file, role, $"'{config.Special(role) ?? usual}' is not in the vocabulary");
        var processor = PostProcessor.Read(Section(file, new { type = "ByteLevel", add_prefix_space = addSpace, trim_offsets = roberta, use_regex = true }));
        if (roberta)
            processor.Surround([Id("cls_token", "<s>")], [Id("sep_token", "</s>")]);
        else if (config.Flag("add_bos_token", false))
            processor.Surround([Id("bos_token", "<|endoftext|>")], []);
        var added = roberta
            ? config.Added(Plain("bos_token", "<s>"), Plain("eos_token", "</s>"), Plain("unk_token", "<unk>"), Plain("sep_token", "</s>"), Plain("pad_token", "<pad>"), Plain("cls_token", "<s>"),
                ("mask_token", new AddedToken("<mask>", true, false, false, LeftStrip: true, false)))
            : config.Added(Plain("bos_token", "<|endoftext|>"), Plain("eos_token", "<|endoftext|>"), Plain("unk_token", "<|endoftext|>"));
        return new TokenizerParts(file, kind == "Qwen2" ? Normalizer.Read(Section(file, new { type = "NFC" })) : text => text,
            PreTokenizer.Read(Section(file, cut)), model, processor, Decoder.Read(Section(file, new { type = "ByteLevel" })), added);
    }

    /// <summary>A section as it would be in tokenizer.json.</summary>
    public static StrictJson Section(string file, object section) => new(JsonSerializer.SerializeToElement(section), file);

    private static (string, AddedToken) Plain(string role, string content) => (role, new AddedToken(content, true, false, false, false, false));

    private static List<(string Left, string Right)> ReadPairs(string file)
    {
        var pairs = new List<(string, string)>();
        var number = 0;
        foreach (var line in ReadLines(file))
        {
            number++;
            if (line.StartsWith("#version", StringComparison.Ordinal) || (line.Length == 0 && number > 1))
                continue;
            pairs.Add(line.Split(' ') is [{ Length: > 0 } left, { Length: > 0 } right]
                ? (left, right)
                : throw new CheckpointException(CheckpointFault.Invalid, file, $"line {number}", "must be two tokens"));
        }
        return pairs;
    }

    private static List<string> ReadLines(string file)
    {
        try
        {
            if (new FileInfo(file).Length > MaxFile)
                throw new CheckpointException(CheckpointFault.Invalid, file, null, $"is larger than {MaxFile} bytes");
            // Only these end a line: a token may hold any other separator.
            var text = new System.Text.UTF8Encoding(false, throwOnInvalidBytes: true).GetString(File.ReadAllBytes(file));
            var lines = text.Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n').ToList();
            if (lines[^1].Length == 0)
                lines.RemoveAt(lines.Count - 1);
            return lines.Count <= TokenizerJson.MaxId ? lines : throw new CheckpointException(CheckpointFault.Invalid, file, null, $"has more than {TokenizerJson.MaxId} lines");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, file, null, $"cannot be read ({e.Message})", e);
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(CheckpointFault.Invalid, file, null, "is not UTF-8", e);
        }
    }
}
