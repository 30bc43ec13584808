using SaeService.Sample.Grammar;

namespace SaeService.Sample.Training;

/// <summary>
/// Rows of token ids for the language model: whole documents, each after the BOS token, one behind the other until the row is full.
/// Every row begins with a document and the rest of the last one is thrown away: the grammar writes as many as are wanted, so no text is seen twice.
/// </summary>
public sealed class TrainingRows(Func<string, int[]> encode, int bos, ulong seed, int length)
{
    public int DocumentsUsed { get; private set; }

    public long TokensSeen { get; private set; }

    /// <summary>The next rows as one array [rows * length].</summary>
    public long[] Next(int rows)
    {
        var ids = new long[rows * length];
        for (var row = 0; row < rows; row++)
        {
            var filled = 0;
            while (filled < length)
            {
                var document = encode(SampleCorpus.Document(seed, DocumentsUsed++).Text);
                ids[row * length + filled++] = bos;
                for (var i = 0; i < document.Length && filled < length; i++)
                    ids[row * length + filled++] = document[i];
            }
        }
        TokensSeen += ids.Length;
        return ids;
    }
}
