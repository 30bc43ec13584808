namespace SaeService.Checkpoints;

/// <summary>Ids with their spans in the original, in the making.</summary>
/// <param name="spelling">Whether the text of tokens that are written otherwise than their id says is kept.</param>
internal sealed class TokenList(bool spelling)
{
    public List<int> Ids { get; } = [];

    public List<(int Start, int End)> Spans { get; } = [];

    /// <summary>By position: what the text has where a token is not spelled as in the vocabulary.</summary>
    public Dictionary<int, string> Spelled { get; } = [];

    public void Add(int id, (int Start, int End) span, ReadOnlySpan<char> spelled = default)
    {
        if (spelling && !spelled.IsEmpty)
            Spelled[Ids.Count] = new string(spelled);
        Ids.Add(id);
        Spans.Add(span);
    }
}
