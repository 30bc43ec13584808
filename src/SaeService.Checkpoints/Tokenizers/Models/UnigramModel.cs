using System.Text;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>
/// Unigram (Kudo 2018): the segmentation whose scores (log probabilities) add up highest, by Viterbi in double precision; of equal ones the first found,
/// that is, whose last token begins first. Unknown characters in a row are one token.
/// </summary>
internal sealed class UnigramModel : TokenModel
{
    private const double UnknownPenalty = 10;

    private readonly double[] _scores;
    private readonly TokenTrie _trie;
    private readonly int? _unknown;
    private readonly int[]? _idOfByte;
    private readonly double _unknownScore;
    private readonly Func<string, CheckpointException> _invalid;

    public UnigramModel(IReadOnlyList<(string Token, double Score)> vocabulary, int? unknown, bool byteFallback, Func<string, CheckpointException> invalid)
        : base(IdsOf(vocabulary))
    {
        _scores = [.. vocabulary.Select(v => v.Score)];
        _trie = new(Ids.Select(t => (t.Key, t.Value)));
        _unknown = unknown is null || (unknown >= 0 && unknown < vocabulary.Count) ? unknown : throw invalid($"{unknown} is not in the vocabulary");
        _unknownScore = vocabulary.Select(v => v.Score).DefaultIfEmpty(double.PositiveInfinity).Min() - UnknownPenalty;
        _invalid = invalid;
        if (byteFallback)
            _idOfByte = [.. Enumerable.Range(0, 256).Select(b => Ids.GetValueOrDefault(BpeModel.ByteToken(b), -1))];
    }

    // A token that is listed twice counts twice.
    public override int Size => _scores.Length;

    public override int? SpelledOutId => _unknown;

    public static new UnigramModel Read(StrictJson json)
    {
        if (json.Value("vocab") is not { ValueKind: JsonValueKind.Array } vocab || vocab.GetArrayLength() > TokenizerJson.MaxId)
            throw json.Invalid("vocab", "must be an array of tokens with scores");
        var vocabulary = new List<(string, double)>(vocab.GetArrayLength());
        foreach (var entry in vocab.EnumerateArray())
            vocabulary.Add(entry.ValueKind == JsonValueKind.Array && entry.GetArrayLength() == 2 && entry[0].ValueKind == JsonValueKind.String
                && entry[1].ValueKind == JsonValueKind.Number && double.IsFinite(entry[1].GetDouble())
                ? (entry[0].GetString()!, entry[1].GetDouble())
                : throw json.Invalid($"vocab[{vocabulary.Count}]", "must be a token with its score"));
        int? unknown = json.Value("unk_id") is null ? null : TokenizerJson.Count(json, "unk_id", 0, TokenizerJson.MaxId);
        return new(vocabulary, unknown, json.Flag("byte_fallback", false), message => json.Invalid("unk_id", message));
    }

    protected override void Encode(ReadOnlySpan<char> piece, List<PieceToken> tokens)
    {
        // Best segmentation of the first n units: its score, its last token, and where that begins.
        var best = new (double Score, int Id, int Start)[piece.Length + 1];
        for (var i = 1; i < best.Length; i++)
            best[i].Start = -1;
        for (int start = 0, units; start < piece.Length; start += units)
        {
            AlignedText.CodePoint(piece, start, out units);
            var score = best[start].Score;
            var single = false;
            var node = 0;
            for (var end = start + 1; end <= piece.Length && (node = _trie.Next(node, piece[end - 1])) >= 0; end++)
            {
                if (_trie.ValueAt(node) is not (>= 0 and var id))
                    continue;
                Offer(ref best[end], _scores[id] + score, id, start);
                single |= end == start + units;
            }
            if (!single)
                Offer(ref best[start + units], _unknownScore + score, _unknown ?? throw _invalid("is missing, and the text has an unknown character"), start);
        }
        var ends = piece.Length;
        var unknownEnd = -1;
        while (ends > 0)
        {
            var (_, id, start) = best[ends];
            if (id == _unknown)
                unknownEnd = unknownEnd < 0 ? ends : unknownEnd;
            else
            {
                AddUnknown(piece, ends, ref unknownEnd, tokens);
                tokens.Add(new(id, start, ends));
            }
            ends = start;
        }
        AddUnknown(piece, 0, ref unknownEnd, tokens);
        tokens.Reverse();

        static void Offer(ref (double Score, int Id, int Start) node, double score, int id, int start)
        {
            if (node.Start < 0 || score > node.Score)
                node = (score, id, start);
        }
    }

    /// <summary>Adds a run of unknown characters, last token first: it may happen to be a token, else it is spelled in bytes where all of them are tokens.</summary>
    private void AddUnknown(ReadOnlySpan<char> piece, int start, ref int end, List<PieceToken> tokens)
    {
        if (end < 0)
            return;
        var text = piece[start..end];
        if (Find(text) is { } whole)
            tokens.Add(new(whole, start, end));
        else if (Bytes(text) is { } bytes)
        {
            for (var i = bytes.Length - 1; i >= 0; i--)
                tokens.Add(new(bytes[i], start, end));
        }
        else
            tokens.Add(new(_unknown!.Value, start, end));
        end = -1;
    }

    private int[]? Bytes(ReadOnlySpan<char> text)
    {
        if (_idOfByte is null)
            return null;
        var utf8 = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, utf8);
        int[] ids = [.. utf8.Select(b => _idOfByte[b])];
        return ids.Contains(-1) ? null : ids;
    }

    private static Dictionary<string, int> IdsOf(IReadOnlyList<(string Token, double Score)> vocabulary)
    {
        var ids = new Dictionary<string, int>(vocabulary.Count, StringComparer.Ordinal);
        for (var i = 0; i < vocabulary.Count; i++)
            ids[vocabulary[i].Token] = i;
        return ids;
    }
}
