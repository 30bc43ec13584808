using System.Runtime.InteropServices;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// Sparse codes of the labelled words: each token of a word is encoded by itself, since the autoencoder knows token vectors and no others, and
/// the codes are joined by their maximum (or those of the last token are taken).
/// </summary>
internal static class EncodeStage
{
    private const int TokensAtOnce = 8192;

    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var corpus = Inputs.Corpus(context);
        var (_, packed) = Inputs.Words(corpus, Inputs.Filters(context), context.Scratch);
        using var activations = Inputs.Activations(context, layer);
        var sae = Inputs.Autoencoder(context, layer);
        var file = context.Create(Artifacts.Codes);
        Encode(context, corpus, packed, activations, sae, context.Scratch).Save(file.TemporaryPath);
        return new StageOutput([file.Complete()]);
    }

    /// <summary>Reads tokens' vectors into [tokens, d].</summary>
    public delegate void Gather(ReadOnlySpan<int> tokens, Span<float> vectors);

    /// <param name="packed">Places of the words in the corpus.</param>
    /// <param name="from">How far the stage is.</param>
    /// <param name="upTo">How far it is when all are encoded.</param>
    /// <param name="scratch">Where the codes lie.</param>
    public static SparseCodes Encode(StageContext context, PackedCorpus corpus, Column<int> packed, ActivationFile activations, SparseAutoencoder sae, ScratchSpace scratch,
        double from = 0, double upTo = 1) =>
        Encode(context.Request.Labels!, corpus, packed, activations.Gather, sae, scratch, done => context.Progress(from + (upTo - from) * done));

    /// <summary>A row of the codes for each word.</summary>
    /// <param name="scratch">Where the codes lie; default: in memory.</param>
    /// <param name="progress">Told the share that is done.</param>
    public static SparseCodes Encode(LabelSettings settings, PackedCorpus corpus, Column<int> packed, Gather gather, SparseAutoencoder sae,
        ScratchSpace? scratch = null, Action<double>? progress = null)
    {
        var lastOnly = settings.SubwordPolicy == "last";
        var built = new SparseCodesBuilder(sae.DSae, scratch);
        var pooled = new MaxPool(sae.DSae);
        var vectors = Array.Empty<float>();
        for (var first = 0; first < packed.Length;)
        {
            var rows = new List<int>();
            var to = first;
            for (; to < packed.Length && rows.Count < TokensAtOnce; to++)
                for (var t = lastOnly ? corpus.LastToken[packed[to]] : corpus.FirstToken[packed[to]]; t <= corpus.LastToken[packed[to]]; t++)
                    rows.Add(t);
            if (vectors.Length < rows.Count * sae.DIn)
                vectors = new float[rows.Count * sae.DIn]; // [tokens, d]
            gather(CollectionsMarshal.AsSpan(rows), vectors.AsSpan(0, rows.Count * sae.DIn));
            var codes = sae.Encode(vectors.AsSpan(0, rows.Count * sae.DIn), rows.Count);
            for (int word = first, row = 0; word < to; word++)
            {
                var pieces = lastOnly ? 1 : corpus.LastToken[packed[word]] - corpus.FirstToken[packed[word]] + 1;
                pooled.Add(codes, row, pieces, built);
                row += pieces;
            }
            first = to;
            progress?.Invoke((double)first / packed.Length);
        }
        return built.Build();
    }

    /// <summary>The maximum over the rows of a word, feature by feature.</summary>
    internal sealed class MaxPool(int width)
    {
        private readonly float[] _max = new float[width];
        private readonly List<int> _touched = [];
        private readonly List<float> _values = [];

        public void Add(SparseCodes codes, int firstRow, int rows, SparseCodesBuilder into)
        {
            for (var row = firstRow; row < firstRow + rows; row++)
            {
                var index = codes.RowIndex(row);
                var value = codes.RowValue(row);
                for (var n = 0; n < index.Length; n++)
                {
                    if (_max[index[n]] == 0)
                        _touched.Add(index[n]);
                    _max[index[n]] = Math.Max(_max[index[n]], value[n]);
                }
            }
            _touched.Sort();
            foreach (var feature in _touched)
            {
                _values.Add(_max[feature]);
                _max[feature] = 0;
            }
            into.Add(CollectionsMarshal.AsSpan(_touched), CollectionsMarshal.AsSpan(_values));
            _touched.Clear();
            _values.Clear();
        }
    }
}
