namespace SaeService.Autoencoders;

/// <summary>The top-k of a batch: row i has <c>Count[i]</c> latents at i * K, ascending by index, with their values, all above 0.</summary>
internal sealed class TopKRows(int rows, int k)
{
    public int K { get; } = k;
    public AlignedBuffer<int> Count { get; } = new(rows);
    public AlignedBuffer<int> Index { get; } = new((long)rows * k);
    public AlignedBuffer<float> Value { get; } = new((long)rows * k);
}

/// <summary>
/// Exact top-k of ReLU(W x + b): a blocked matrix product whose tiles are scanned while they are in the cache, so the pre-activations
/// [B, F] are never written. A row starts from a threshold guessed from its norm; a row that ends with fewer than k hits is done again from 0,
/// so the guess decides the speed and never the result.
/// </summary>
internal sealed unsafe class TopKEncoder
{
    private const int BlockBytes = 256 << 10;   // of packed rows, so that they stay in a core's second-level cache
    private readonly int d, k, maxRows;
    private readonly Lanes lanes;
    private readonly AlignedBuffer<float> weights;    // [F / 16][d][16]
    private readonly AlignedBuffer<float> biases;     // [F]
    private readonly AlignedBuffer<float> guesses;    // [maxRows]
    private readonly Scratch?[] scratch;
    private int latents;
    private float alpha;    // threshold / norm of the row, from the batch before

    private sealed class Scratch(int rows, int d, int k)
    {
        public readonly AlignedBuffer<float> Packed = new((long)rows * d);   // [rows / 6][d][6]
        public readonly AlignedBuffer<int> Row = new(rows), Again = new(rows);
        public readonly Candidates Candidates = new(rows, k);
    }

    /// <param name="d">Padded width of a row, a multiple of 16.</param>
    /// <param name="maxLatents">Most latents that will be packed.</param>
    /// <param name="k">Kept for a row.</param>
    /// <param name="maxRows">Most rows of a batch.</param>
    /// <param name="lanes">Where the work runs.</param>
    public TopKEncoder(int d, int maxLatents, int k, int maxRows, Lanes lanes)
    {
        (this.d, this.k, this.maxRows, this.lanes) = (d, k, maxRows, lanes);
        var padded = (maxLatents + TileKernel.Latents - 1) / TileKernel.Latents * TileKernel.Latents;
        weights = new((long)padded * d);
        biases = new(padded);
        guesses = new(maxRows);
        scratch = new Scratch[lanes.Count];
    }

    /// <summary>Takes over the latents of W [F, d] and b [F], or the selected ones, in their order.</summary>
    public void Pack(float* w, float* b, int count, int* selected = null)
    {
        latents = count;
        var panels = (count + TileKernel.Latents - 1) / TileKernel.Latents;
        const int PanelsInBlock = 8;
        lanes.For((panels + PanelsInBlock - 1) / PanelsInBlock, (block, _) =>
        {
            for (var panel = block * PanelsInBlock; panel < Math.Min(panels, (block + 1) * PanelsInBlock); panel++)
            {
                var target = weights.Pointer + (long)panel * TileKernel.Latents * d;
                for (var c = 0; c < TileKernel.Latents; c++)
                {
                    var position = panel * TileKernel.Latents + c;
                    if (position >= count)
                    {
                        // A latent that is not there: its pre-activation is above no threshold.
                        biases.Pointer[position] = float.NegativeInfinity;
                        for (var j = 0; j < d; j++)
                            target[j * TileKernel.Latents + c] = 0;
                        continue;
                    }
                    var latent = selected == null ? position : selected[position];
                    var row = w + (long)latent * d;
                    biases.Pointer[position] = b[latent];
                    for (var j = 0; j < d; j++)
                        target[j * TileKernel.Latents + c] = row[j];
                }
            }
        });
    }

    /// <param name="x">[rows, d], centred.</param>
    /// <param name="rows">At most the maximum named at construction.</param>
    /// <param name="result">Overwritten.</param>
    public void Encode(float* x, int rows, TopKRows result)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, maxRows);
        var most = Math.Max(4, BlockBytes / sizeof(float) / d / TileKernel.Rows) * TileKernel.Rows;
        var size = (Math.Min(most, (rows + 4 * lanes.Count - 1) / (4 * lanes.Count)) + TileKernel.Rows - 1) / TileKernel.Rows * TileKernel.Rows;
        lanes.For((rows + size - 1) / size, (block, lane) =>
        {
            var mine = scratch[lane] is { } s && s.Row.Length >= size ? s : scratch[lane] = new(size, d, k);
            var first = block * size;
            var count = Math.Min(size, rows - first);
            for (var i = 0; i < count; i++)
            {
                var row = x + (long)(first + i) * d;
                mine.Row.Pointer[i] = first + i;
                guesses.Pointer[first + i] = alpha * MathF.Sqrt(RowKernel.Dot(row, row, d));
            }
            var again = Block(x, mine, mine.Row.Pointer, count, guess: alpha > 0, result);
            if (again > 0)
                Block(x, mine, mine.Again.Pointer, again, guess: false, result);
        });
        LearnThreshold(x, rows, result);
    }

    /// <returns>How many rows (listed in <see cref="Scratch.Again"/>) had fewer than k values above a guessed threshold.</returns>
    private int Block(float* x, Scratch s, int* rowIds, int count, bool guess, TopKRows result)
    {
        var tiles = (count + TileKernel.Rows - 1) / TileKernel.Rows;
        for (var i = 0; i < tiles * TileKernel.Rows; i++)
        {
            var target = s.Packed.Pointer + (long)(i / TileKernel.Rows) * TileKernel.Rows * d + i % TileKernel.Rows;
            var row = i < count ? x + (long)rowIds[i] * d : null;
            for (var j = 0; j < d; j++)
                target[j * TileKernel.Rows] = row == null ? 0 : row[j];
            if (row != null)
                s.Candidates.Clear(i, guess ? guesses.Pointer[rowIds[i]] : 0);
        }
        var tile = stackalloc float[TileKernel.Rows * TileKernel.Latents];
        for (var latent = 0; latent < latents; latent += TileKernel.Latents)
            for (var t = 0; t < tiles; t++)
            {
                var first = t * TileKernel.Rows;
                TileKernel.Multiply(s.Packed.Pointer + (long)first * d, weights.Pointer + (long)latent * d, d, biases.Pointer + latent, tile);
                s.Candidates.Scan(tile, first, Math.Min(TileKernel.Rows, count - first), latent);
            }
        var again = 0;
        for (var i = 0; i < count; i++)
        {
            var row = rowIds[i];
            var n = s.Candidates.Take(i, result.Index.Slice((long)row * k, k), result.Value.Slice((long)row * k, k));
            result.Count.Pointer[row] = n;
            if (n < k && guess && guesses.Pointer[row] > 0)
                s.Again.Pointer[again++] = row;
        }
        return again;
    }

    /// <summary>Next batch's guess: what all but about one row in a hundred of (the start of) this one would have passed.</summary>
    private void LearnThreshold(float* x, int rows, TopKRows result)
    {
        Span<float> ratios = stackalloc float[Math.Min(rows, 512)];
        for (var i = 0; i < ratios.Length; i++)
        {
            var row = x + (long)i * d;
            var norm = MathF.Sqrt(RowKernel.Dot(row, row, d));
            var least = float.MaxValue;
            foreach (var v in result.Value.Slice((long)i * k, result.Count.Pointer[i]))
                least = Math.Min(least, v);
            ratios[i] = result.Count.Pointer[i] < k || norm == 0 ? 0 : least / norm;
        }
        ratios.Sort();
        var ratio = ratios.Length == 0 ? 0 : 0.98f * ratios[ratios.Length / 100];
        alpha = float.IsFinite(ratio) ? ratio : 0;
    }
}
