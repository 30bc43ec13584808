namespace SaeService.Checkpoints;

/// <summary>
/// Added tokens with their ids, as the library gives them: that of the same string in the vocabulary, else the next one after all. The id in the file is only
/// what the writer had; where it is another string's, the file contradicts itself and is refused.
/// </summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<int, AddedToken> _byId = [];

    public IReadOnlyDictionary<int, AddedToken> ById => _byId;

    public IReadOnlySet<int> SpecialIds { get; }

    public AddedTokenFinder InOriginal { get; }

    public AddedTokenFinder InNormalized { get; }

    public AddedVocabulary(TokenizerParts parts)
    {
        var tokenOf = parts.Model.Ids.ToDictionary(t => t.Value, t => t.Key);
        var distinct = new HashSet<AddedToken>();
        var next = parts.Model.Size;
        var searched = new List<AddedToken>();
        foreach (var (fileId, token) in parts.Added)
        {
            if (token.Content.Length == 0 || !distinct.Add(token))
                continue;
            if (!parts.Model.Ids.TryGetValue(token.Content, out var id) && !_ids.TryGetValue(token.Content, out id))
            {
                id = next;
                if (tokenOf.TryGetValue(id, out var holder) && holder != token.Content)
                    throw Invalid(parts, token, id, $"its id is that of '{holder}'");
            }
            if (fileId is { } given && given != id && tokenOf.TryGetValue(given, out var other))
                throw Invalid(parts, token, given, $"the vocabulary has '{other}' there");
            if (id > TokenizerJson.MaxId)
                throw Invalid(parts, token, id, $"an id may be at most {TokenizerJson.MaxId}");
            _ids[token.Content] = id;
            _byId[id] = token;
            next = Math.Max(next, id + 1);
            searched.Add(token);
        }
        var normalized = new List<(string, int)>();
        foreach (var token in searched.Where(t => t.Normalized))
        {
            var text = new string(parts.Normalize(AlignedText.Of(token.Content, 0, token.Content.Length)).Chars);
            if (text.Length == 0)
                throw new CheckpointException(CheckpointFault.Unsupported, parts.File, "added_tokens", $"'{token.Content}' is looked for in normalised text, where nothing is left of it");
            normalized.Add((text, _ids[token.Content]));
        }
        InOriginal = new(searched.Where(t => !t.Normalized).Select(t => (t.Content, _ids[t.Content])), _byId);
        InNormalized = new(normalized, _byId);
        SpecialIds = _byId.Where(t => t.Value.Special).Select(t => t.Key).ToHashSet();
    }

    private static CheckpointException Invalid(TokenizerParts parts, AddedToken token, int id, string message) =>
        new(CheckpointFault.Invalid, parts.File, "added_tokens", $"'{token.Content}' ({id}): {message}");
}
