using System.Security.Cryptography;
using System.Text;

namespace SaeService.Corpora;

/// <summary>The part of the split that a document belongs to. The values are stored.</summary>
public enum Part : byte
{
    Train = 0,
    Dev = 1,
    Test = 2,
}

/// <summary>
/// 60 % train, 20 % dev, 20 % test of the words, by whole documents. Documents are put in the order of SHA-256(seed, id) and laid end to end;
/// each goes to the part in which its middle word lies. So the split depends on the seed and on which documents there are, never on their order,
/// on the tokenizer or on the machine. Where there are fewer than ten documents, or where they are so uneven that a part would get less than
/// half its share, sentences take the place of documents, and <see cref="BySentence"/> says so.
/// </summary>
public sealed class DocumentSplit
{
    public const int MinDocuments = 10;
    private static readonly double[] Shares = [0.6, 0.2, 0.2];

    private DocumentSplit(bool bySentence, IReadOnlyList<string> ids, int[] unitOfSentence, byte[] parts)
    {
        BySentence = bySentence;
        Ids = ids;
        UnitOfSentence = unitOfSentence;
        Parts = parts;
    }

    public bool BySentence { get; }

    /// <summary>Identifiers of the documents (or of the sentences that stand for them), in corpus order.</summary>
    public IReadOnlyList<string> Ids { get; }

    /// <summary>For each sentence given, its index into <see cref="Ids"/>.</summary>
    public IReadOnlyList<int> UnitOfSentence { get; }

    /// <summary>For each of <see cref="Ids"/>, a <see cref="Part"/>.</summary>
    public IReadOnlyList<byte> Parts { get; }

    /// <summary>In words, for a report.</summary>
    public string Description =>
        $"60/20/20 by {(BySentence ? "sentence (fewer than 10 documents, or too uneven ones)" : "document")}, in order of SHA-256(seed, id)";

    /// <param name="sentences">Of each sentence its document, its own id and its number of words.</param>
    public static DocumentSplit Create(int seed, IReadOnlyList<(string Document, string Sentence, int Words)> sentences)
    {
        var byDocument = Divide(seed, sentences, bySentence: false, out var even);
        return byDocument.Ids.Count >= MinDocuments && even ? byDocument : Divide(seed, sentences, bySentence: true, out _);
    }

    /// <summary>Lines "document TAB part", in corpus order.</summary>
    public string Listing() => Listing(Ids, Parts);

    public string Sha256() => Sha256Of(Listing());

    internal static string Listing(IReadOnlyList<string> ids, IReadOnlyList<byte> parts)
    {
        var listing = new StringBuilder();
        for (var i = 0; i < ids.Count; i++)
            listing.Append(ids[i]).Append('\t').Append(NameOf(parts[i])).Append('\n');
        return listing.ToString();
    }

    internal static string Sha256Of(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    internal static string NameOf(byte part) => ((Part)part).ToString().ToLowerInvariant();

    /// <summary>The order of a document under a seed; uniform over 256 bits.</summary>
    internal static byte[] Key(int seed, string id) => SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\t{id}"));

    private static DocumentSplit Divide(int seed, IReadOnlyList<(string Document, string Sentence, int Words)> sentences, bool bySentence, out bool even)
    {
        var index = new Dictionary<string, int>(StringComparer.Ordinal);
        var ids = new List<string>();
        var words = new List<long>();
        var unitOf = new int[sentences.Count];
        for (var s = 0; s < unitOf.Length; s++)
        {
            var id = bySentence ? sentences[s].Sentence : sentences[s].Document;
            if (!index.TryGetValue(id, out unitOf[s]))
            {
                index[id] = unitOf[s] = ids.Count;
                ids.Add(id);
                words.Add(0);
            }
            words[unitOf[s]] += sentences[s].Words;
        }

        var total = words.Sum();
        var keys = ids.ConvertAll(id => Key(seed, id));
        var order = Enumerable.Range(0, ids.Count).ToArray();
        Array.Sort(order, (a, b) => keys[a].AsSpan().SequenceCompareTo(keys[b]));
        var parts = new byte[ids.Count];
        var held = new long[Shares.Length];
        var before = 0L;
        foreach (var unit in order)
        {
            // Whole numbers: the middle of the unit, in tenths of the total.
            var middle = (10 * before) + (5 * words[unit]);
            var part = middle < 6 * total ? Part.Train : middle < 8 * total ? Part.Dev : Part.Test;
            parts[unit] = (byte)part;
            held[(int)part] += words[unit];
            before += words[unit];
        }
        even = Enumerable.Range(0, Shares.Length).All(p => held[p] >= total * Shares[p] / 2);
        return new(bySentence, ids, unitOf, parts);
    }
}
