using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// Where each word stands, in a byte a word: in train or held-out documents, and in which of two disjoint halves of the documents. Halves are dealt out by the seed within
/// each part, so that each has as many train and as many held-out documents as the other, or one more.
/// </summary>
public sealed class WordPlaces
{
    private readonly Column<byte> _place; // bit 0: the half; bit 1: held out

    public WordPlaces(LabelledWords words, int seed, ScratchSpace? scratch = null)
    {
        var ofDocument = new byte[words.PartOfDocument.Length];
        foreach (var heldOut in new[] { false, true })
        {
            var documents = Enumerable.Range(0, ofDocument.Length).Where(d => words.PartOfDocument[d] != Part.Train == heldOut).ToArray();
            new CounterRandom(seed, heldOut ? -2 : -1).Shuffle<int>(documents); // bootstraps take the streams from 0 on
            for (var n = 0; n < documents.Length; n++)
                ofDocument[documents[n]] = (byte)((heldOut ? 2 : 0) | (n & 1));
        }
        _place = (scratch ?? ScratchSpace.Heap).New(words.Count, word => ofDocument[words.Document[word]]);
    }

    public bool IsTrain(int word) => IsTrain(_place[word]);

    /// <summary>Of every word, for <see cref="IsTrain(byte)"/>.</summary>
    public ReadOnlySpan<byte> All => _place;

    public static bool IsTrain(byte place) => place < 2;

    /// <summary>0 or 1.</summary>
    public int Half(int word) => Half(_place[word]);

    public static int Half(byte place) => place & 1;
}
