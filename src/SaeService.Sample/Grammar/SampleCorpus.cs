using System.Globalization;

namespace SaeService.Sample.Grammar;

/// <summary>
/// The grammar's documents. A document depends on its seed and number alone, so any slice can be made again by itself, in parallel and in any order.
/// </summary>
public static class SampleCorpus
{
    /// <summary>Document <paramref name="number"/> of a seed; its id is <c>sample-SEED-NUMBER</c>.</summary>
    public static SampleDocument Document(ulong seed, int number) =>
        new DocumentWriter(SplitMix64.Stream(seed, (ulong)number))
            .Write(string.Create(CultureInfo.InvariantCulture, $"sample-{seed}-{number:D5}"));

    public static IEnumerable<SampleDocument> Documents(ulong seed, int count) =>
        Enumerable.Range(0, count).AsParallel().AsOrdered().Select(number => Document(seed, number));

    /// <summary>
    /// Writes CoNLL-U (universaldependencies.org/format.html): UPOS, Penn tags, number and person in FEATS, basic dependencies, and entities as
    /// <c>NER=</c> IOB2 tags in MISC, as Universal NER does. Lines end in \n on every system.
    /// </summary>
    public static void Write(IEnumerable<SampleDocument> documents, TextWriter output)
    {
        foreach (var document in documents)
        {
            output.Write($"# newdoc id = {document.Id}\n");
            foreach (var sentence in document.Sentences)
            {
                output.Write($"# sent_id = {sentence.Id}\n# text = {sentence.Text}\n");
                for (var i = 0; i < sentence.Words.Count; i++)
                {
                    var w = sentence.Words[i];
                    var misc = w.SpaceAfter ? $"NER={w.Entity}" : $"NER={w.Entity}|SpaceAfter=No";
                    output.Write(string.Create(CultureInfo.InvariantCulture,
                        $"{i + 1}\t{w.Form}\t{w.Lemma}\t{w.Upos}\t{w.Xpos}\t{w.Feats}\t{w.Head}\t{w.Relation}\t_\t{misc}\n"));
                }
                output.Write('\n');
            }
        }
    }
}
