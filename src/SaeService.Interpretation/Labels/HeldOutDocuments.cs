namespace SaeService.Interpretation.Labels;

/// <summary>
/// The documents on which features are judged: dev and test together, because nothing about features is tuned on dev. (Probes tune their
/// penalty there, and are judged on test alone.)
/// </summary>
public sealed class HeldOutDocuments
{
    private readonly int[] _position;

    public HeldOutDocuments(LabelledWords words)
    {
        _position = new int[words.PartOfDocument.Length];
        var ids = new List<int>();
        for (var document = 0; document < _position.Length; document++)
        {
            _position[document] = words.PartOfDocument[document] == Part.Train ? -1 : ids.Count;
            if (_position[document] >= 0)
                ids.Add(document);
        }
        Ids = [.. ids];
    }

    /// <summary>Document ids, ascending.</summary>
    public int[] Ids { get; }

    /// <summary>Place of <paramref name="document"/> in <see cref="Ids"/>; -1 for train documents.</summary>
    public int PositionOf(int document) => _position[document];
}
