namespace SaeService.Autoencoders.Toy;

/// <summary>
/// Activations with a known dictionary: x = sum of strength times direction over the features that fire, plus a bias. Rows come in blocks of 4096,
/// each a pure function of seed and block number: any thread may draw any of them, and a file of them is the same on every machine with the same
/// elementary functions.
/// </summary>
public abstract class ToyGenerator
{
    /// <summary>Rows of a block: the batch of the base paper's code, for which one of its correlated samples is drawn.</summary>
    public const int BlockRows = 4096;

    private readonly float[] directions;   // [G, d]
    private readonly float[] bias;         // [d]

    /// <param name="name">As in the benchmark's rows.</param>
    /// <param name="features">G, number of true features.</param>
    /// <param name="dim">d, width of the activations.</param>
    /// <param name="directions">[G, d], unit rows.</param>
    /// <param name="bias">[d], or null for none.</param>
    private protected ToyGenerator(string name, int features, int dim, double[] directions, double[]? bias)
    {
        (Name, Features, Dim) = (name, features, dim);
        this.directions = Array.ConvertAll(directions, v => (float)v);
        this.bias = bias is null ? new float[dim] : Array.ConvertAll(bias, v => (float)v);
    }

    public string Name { get; }
    public int Features { get; }
    public int Dim { get; }
    public ReadOnlySpan<float> Direction(int feature) => directions.AsSpan(feature * Dim, Dim);

    /// <summary>Which features fire on the rows of a block, and how strongly.</summary>
    /// <returns>[4096, G]</returns>
    public SparseCodes Codes(long block)
    {
        var codes = new SparseCodesBuilder(Features);
        Draw(block, codes);
        return codes.Build();
    }

    /// <summary>Adds the rows of a block, one after another.</summary>
    private protected abstract void Draw(long block, SparseCodesBuilder codes);

    /// <summary>The activations that have these codes.</summary>
    /// <param name="codes">[rows, G]</param>
    /// <param name="x">[rows, d]</param>
    public void Render(SparseCodes codes, Span<float> x)
    {
        if (codes.Width != Features || x.Length != codes.Rows * Dim)
            throw new ArgumentException($"codes [{codes.Rows}, {codes.Width}] do not make {x.Length} values of rows of {Dim}", nameof(codes));
        for (var i = 0; i < codes.Rows; i++)
        {
            var row = x.Slice(i * Dim, Dim);
            bias.CopyTo(row);
            var index = codes.RowIndex(i);
            var value = codes.RowValue(i);
            for (var a = 0; a < index.Length; a++)
            {
                var direction = Direction(index[a]);
                for (var j = 0; j < row.Length; j++)
                    row[j] += value[a] * direction[j];
            }
        }
    }

    /// <summary>Writes blocks 0 to <paramref name="blocks"/> - 1 as an activation file.</summary>
    /// <param name="path">Replaced where it exists.</param>
    /// <param name="blocks">Of 4096 rows.</param>
    /// <param name="threads">Absent: all processors. The file does not depend on it.</param>
    /// <param name="cancel">Leaves no file behind.</param>
    public void Write(string path, int blocks, int? threads = null, CancellationToken cancel = default)
    {
        using var writer = new ActivationWriter(path, (long)blocks * BlockRows, Dim);
        new Lanes(threads).For(blocks, (block, _) =>
        {
            cancel.ThrowIfCancellationRequested();
            var x = new float[BlockRows * Dim];
            Render(Codes(block), x);
            writer.Write((long)block * BlockRows, x);
        });
        writer.Complete();
    }
}
