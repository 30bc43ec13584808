using System.Buffers.Binary;
using System.Text;

namespace SaeService.Checkpoints;

/// <summary>
/// A SentencePiece model: a protobuf message ModelProto (sentencepiece_model.proto) of pieces with scores and of what was set when it was trained. It is
/// put together as the transformers library converts it, so that BPE merges come from the scores.
/// </summary>
internal static class SentencePieceFile
{
    private const long MaxFile = 100_000_000;
    private const string Mark = "\u2581";

    private enum PieceKind
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    private sealed record Piece(string Text, float Score, PieceKind Kind);

    private sealed class Specification
    {
        public List<Piece> Pieces { get; } = [];
        public int ModelType { get; set; } = 1;
        public bool ByteFallback { get; set; }
        public bool SuffixSpace { get; set; }
        public byte[] CharsMap { get; set; } = [];
        public bool AddDummyPrefix { get; set; } = true;
        public bool RemoveExtraSpaces { get; set; } = true;
        public bool EscapeSpaces { get; set; } = true;
    }

    public static TokenizerParts Read(string file, TokenizerConfig config)
    {
        CheckpointException Invalid(string message) => new(CheckpointFault.Invalid, file, null, message);
        CheckpointException Unsupported(string key, string message) => new(CheckpointFault.Unsupported, file, key, message);
        if (config.Class is { } kind && kind is not ("Llama" or "CodeLlama" or "Gemma" or "T5" or "PreTrained"))
            throw config.Unsupported(file, "tokenizer_class", $"'{kind}' is not supported without a tokenizer.json");
        var specification = Parse(ReadBytes(file), Invalid);
        if (specification.SuffixSpace)
            throw Unsupported("trainer_spec.treat_whitespace_as_suffix", "is not supported");
        var pieces = specification.Pieces;
        var unknown = pieces.FindIndex(p => p.Kind == PieceKind.Unknown);
        if (unknown < 0)
            throw Invalid("has no unknown piece");
        var mark = specification.EscapeSpaces ? Mark : " ";
        var processor = new PostProcessor();
        TokenizerParts parts;
        switch (specification.ModelType)
        {
            case 1:
                var unigram = new UnigramModel([.. pieces.Select(p => (p.Text, (double)p.Score))], unknown, specification.ByteFallback, Invalid);
                var scheme = specification.AddDummyPrefix ? "always" : "never";
                parts = new(file, Normalize(specification, file, Invalid, []),
                    PreTokenizer.Read(VocabularyFiles.Section(file, new { type = "Metaspace", replacement = mark, prepend_scheme = scheme, split = true })),
                    unigram, processor, Decode(specification, file, mark), Added(pieces, config));
                break;
            case 2:
                // The newer way of the transformers library (legacy = false) puts the mark only before the very first word.
                var legacy = config.Flag("legacy", true) || !specification.AddDummyPrefix;
                Func<AlignedText, AlignedText>[] marks = [.. Marks(specification, file, mark, legacy)];
                parts = new(file, Normalize(specification, file, Invalid, marks),
                    legacy ? text => text : PreTokenizer.Read(VocabularyFiles.Section(file, new { type = "Metaspace", replacement = mark, prepend_scheme = "first", split = false })),
                    Bpe(pieces, unknown, Invalid), processor, Decode(specification, file, mark), Added(pieces, config));
                break;
            default:
                throw Unsupported("trainer_spec.model_type", $"{specification.ModelType} is not supported (1 is Unigram, 2 BPE)");
        }
        if (config.Class == "T5")
            processor.Surround([], parts.IdOf(config.Special("eos_token") ?? "</s>") is { } end ? [end] : []);
        else
            config.SurroundLlama(parts, always: true);
        return parts;
    }

    private static IEnumerable<Func<AlignedText, AlignedText>> Marks(Specification specification, string file, string mark, bool legacy)
    {
        if (!legacy)
            yield break;
        if (specification.AddDummyPrefix)
            yield return Normalizer.Read(VocabularyFiles.Section(file, new { type = "Prepend", prepend = mark }));
        yield return Normalizer.Read(VocabularyFiles.Section(file, new { type = "Replace", pattern = new { String = " " }, content = mark }));
    }

    private static Func<AlignedText, AlignedText> Normalize(
        Specification specification, string file, Func<string, CheckpointException> invalid, Func<AlignedText, AlignedText>[] then)
    {
        List<Func<AlignedText, AlignedText>> steps = [];
        if (specification.CharsMap.Length > 0)
            steps.Add(CharsMap.Read(specification.CharsMap, invalid).Apply);
        if (specification.RemoveExtraSpaces)
        {
            steps.Add(Normalizer.Read(VocabularyFiles.Section(file, new { type = "Strip", strip_left = false, strip_right = true })));
            steps.Add(Normalizer.Read(VocabularyFiles.Section(file, new { type = "Replace", pattern = new { Regex = " {2,}" }, content = Mark })));
        }
        steps.AddRange(then);
        return text => steps.Aggregate(text, (current, step) => step(current));
    }

    private static Func<List<string>, List<string>> Decode(Specification specification, string file, string mark)
    {
        List<object> steps =
        [
            new { type = "Replace", pattern = new { String = mark }, content = " " },
            new { type = "ByteFallback" },
            new { type = "Fuse" },
        ];
        if (specification.AddDummyPrefix)
            steps.Add(new { type = "Strip", content = " ", start = 1, stop = 0 });
        return Decoder.Read(VocabularyFiles.Section(file, new { type = "Sequence", decoders = steps }));
    }

    /// <summary>Control and user-defined pieces are found in the text before all else, and so is the unknown piece, as the transformers library has it.</summary>
    private static List<(int? Id, AddedToken Token)> Added(List<Piece> pieces, TokenizerConfig config)
    {
        List<(int? Id, AddedToken Token)> added = [];
        for (var i = 0; i < pieces.Count; i++)
            if (pieces[i].Kind is PieceKind.Unknown or PieceKind.Control or PieceKind.UserDefined)
                added.Add((i, new AddedToken(pieces[i].Text, pieces[i].Kind != PieceKind.UserDefined, Normalized: false, false, false, false)));
        added.AddRange(config.Added().Where(t => !added.Exists(a => a.Token.Content == t.Token.Content)).ToArray());
        return added;
    }

    /// <summary>
    /// Every way to part a piece into two pieces is a merge; merges go by score, and of one score by the length of their left, then right part, the
    /// longer first.
    /// </summary>
    private static BpeModel Bpe(List<Piece> pieces, int unknown, Func<string, CheckpointException> invalid)
    {
        const int MaxPieceLength = 10_000;
        var ids = new Dictionary<string, int>(pieces.Count, StringComparer.Ordinal);
        for (var i = 0; i < pieces.Count; i++)
            if (!ids.TryAdd(pieces[i].Text, i))
                throw invalid($"has piece {i} twice");
        var merges = new List<(string Left, string Right, float Score)>();
        var local = new List<(string Left, string Right)>();
        foreach (var piece in pieces)
        {
            if (piece.Text.Length > MaxPieceLength)
                throw invalid($"has a piece of {piece.Text.Length} characters");
            local.Clear();
            for (var at = 1; at < piece.Text.Length; at++)
                if (!char.IsLowSurrogate(piece.Text[at]) && ids.ContainsKey(piece.Text[..at]) && ids.ContainsKey(piece.Text[at..]))
                    local.Add((piece.Text[..at], piece.Text[at..]));
            // The library counts what is neither a word nor a byte as of score 0.
            var score = piece.Kind is PieceKind.Unknown or PieceKind.Control ? 0 : piece.Score;
            merges.AddRange(local.OrderBy(m => ids[m.Left]).ThenBy(m => ids[m.Right]).Select(m => (m.Left, m.Right, score)));
        }
        (string Left, string Right)[] sorted = [.. merges.OrderByDescending(m => m.Score).ThenByDescending(m => Length(m.Left)).ThenByDescending(m => Length(m.Right)).Select(m => (m.Left, m.Right))];
        return new(ids, BpeModel.Merges(ids, sorted, "", (_, message) => invalid(message)), sorted, new BpeOptions(pieces[unknown].Text, true, true, false, "", ""), invalid);
    }

    private static int Length(string text) => text.Length - text.Count(char.IsLowSurrogate);

    private static byte[] ReadBytes(string file)
    {
        try
        {
            return new FileInfo(file).Length <= MaxFile ? File.ReadAllBytes(file) : throw new CheckpointException(CheckpointFault.Invalid, file, null, $"is larger than {MaxFile} bytes");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, file, null, $"cannot be read ({e.Message})", e);
        }
    }

    private static Specification Parse(byte[] bytes, Func<string, CheckpointException> invalid)
    {
        var specification = new Specification();
        var model = new ProtobufReader(bytes, invalid);
        while (model.Next())
            switch (model.Field)
            {
                case 1:
                    if (specification.Pieces.Count > TokenizerJson.MaxId)
                        throw invalid($"has more than {TokenizerJson.MaxId} pieces");
                    specification.Pieces.Add(ParsePiece(model.Bytes, invalid));
                    break;
                case 2:
                    ParseTrainer(model.Bytes, specification, invalid);
                    break;
                case 3:
                    ParseNormalizer(model.Bytes, specification, invalid);
                    break;
            }
        return specification.Pieces.Count > 0 ? specification : throw invalid("has no pieces");
    }

    private static Piece ParsePiece(ReadOnlySpan<byte> bytes, Func<string, CheckpointException> invalid)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        var reader = new ProtobufReader(bytes, invalid);
        while (reader.Next())
            switch (reader.Field)
            {
                case 1:
                    text = System.Text.Unicode.Utf8.IsValid(reader.Bytes) ? Encoding.UTF8.GetString(reader.Bytes) : throw invalid("has a piece that is not UTF-8");
                    break;
                case 2:
                    score = float.IsFinite(reader.Single) ? reader.Single : throw invalid("has a piece whose score is no number");
                    break;
                case 3:
                    kind = Enum.IsDefined((PieceKind)reader.Number) ? (PieceKind)reader.Number : throw invalid($"has a piece of type {reader.Number}");
                    break;
            }
        return new(text, score, kind);
    }

    private static void ParseTrainer(ReadOnlySpan<byte> bytes, Specification specification, Func<string, CheckpointException> invalid)
    {
        var reader = new ProtobufReader(bytes, invalid);
        while (reader.Next())
            switch (reader.Field)
            {
                case 3:
                    specification.ModelType = (int)Math.Min(reader.Number, 100);
                    break;
                case 24:
                    specification.SuffixSpace = reader.Number != 0;
                    break;
                case 35:
                    specification.ByteFallback = reader.Number != 0;
                    break;
            }
    }

    private static void ParseNormalizer(ReadOnlySpan<byte> bytes, Specification specification, Func<string, CheckpointException> invalid)
    {
        var reader = new ProtobufReader(bytes, invalid);
        while (reader.Next())
            switch (reader.Field)
            {
                case 2:
                    specification.CharsMap = reader.Bytes.ToArray();
                    break;
                case 3:
                    specification.AddDummyPrefix = reader.Number != 0;
                    break;
                case 4:
                    specification.RemoveExtraSpaces = reader.Number != 0;
                    break;
                case 5:
                    specification.EscapeSpaces = reader.Number != 0;
                    break;
            }
    }

    /// <summary>The fields of one protobuf message, in order.</summary>
    private ref struct ProtobufReader(ReadOnlySpan<byte> message, Func<string, CheckpointException> invalid)
    {
        private ReadOnlySpan<byte> _rest = message;

        public int Field { get; private set; }

        /// <summary>Of a varint.</summary>
        public ulong Number { get; private set; }

        /// <summary>Of a 32-bit field.</summary>
        public float Single { get; private set; }

        /// <summary>Of a field with a length.</summary>
        public ReadOnlySpan<byte> Bytes { get; private set; }

        public bool Next()
        {
            if (_rest.IsEmpty)
                return false;
            var tag = Varint();
            (Field, Number, Single) = (tag >> 3 <= int.MaxValue ? (int)(tag >> 3) : 0, 0, 0);
            Bytes = default;
            switch (tag & 7)
            {
                case 0:
                    Number = Varint();
                    break;
                case 1:
                    Take(8);
                    break;
                case 2:
                    Bytes = Take(Varint());
                    break;
                case 5:
                    Single = BinaryPrimitives.ReadSingleLittleEndian(Take(4));
                    break;
                default:
                    throw invalid("is no protobuf message");
            }
            return true;
        }

        private ulong Varint()
        {
            var value = 0UL;
            for (var shift = 0; shift < 64; shift += 7)
            {
                var next = Take(1)[0];
                value |= (ulong)(next & 0x7F) << shift;
                if (next < 0x80)
                    return value;
            }
            throw invalid("is no protobuf message");
        }

        private ReadOnlySpan<byte> Take(ulong count)
        {
            if (count > (ulong)_rest.Length)
                throw invalid("is cut off");
            var taken = _rest[..(int)count];
            _rest = _rest[(int)count..];
            return taken;
        }
    }
}
