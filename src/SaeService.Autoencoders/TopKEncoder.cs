using SaeService.Autoencoders.Screens;

namespace SaeService.Autoencoders;

/// <summary>
/// Exact top-k of ReLU(W x + b), where of equal <see cref="PreActivation"/>s the lower latent wins.
/// The <see cref="Screen"/> goes over all latents, tile by tile, and its <see cref="Candidates"/> are what is within its error of the k largest;
/// their pre-activations are computed, and k of them kept. The [B, F] pre-activations are never written.
/// </summary>
/// <remarks>
/// Blocking: a block of packed rows, as large as a core's second-level cache or a little larger, is read from end to end while the panels of latents go by, and
/// what is multiplied of a panel stays in the first-level cache while the block's tiles go by it. A row starts from a threshold guessed from its norm; where the k-th value turns out to lie below it, the
/// row is done again from 0. So both the guess and the screen decide the speed and never the result.
/// </remarks>
internal sealed unsafe class TopKEncoder
{
    /// <summary>Of packed rows that a lane has at a time, and rows whose pre-activations it writes where nothing is screened.</summary>
    public const int BlockBytes = 704 << 10, DenseRows = 32;

    private const int GroupBytes = 64 << 10;   // of weights that stay in the second-level cache while those rows go by
    private readonly int d, k, maxRows, maxLatents;
    private readonly Lanes lanes;
    private Screen? madeScreen;
    private readonly Scratch?[] scratch;
    private readonly DenseScratch?[] dense;
    private int latents;
    private float* weights, biases;   // [F, d], [F]
    private int* names;               // [latents]; null: all of them
    private float alpha;              // threshold / norm of the row, from the batch before

    private sealed class Scratch(int rows, Screen screen, int k)
    {
        public readonly AlignedBuffer<byte> Packed = new(screen.BlockBytes(screen.TilesOf(rows)));
        public readonly AlignedBuffer<int> Row = new(rows), Again = new(rows);
        public readonly AlignedBuffer<float> Guess = new(rows);
        public readonly Candidates Candidates = new(rows, k);
        public readonly AlignedBuffer<float> Value = new(Candidates.CapacityFor(k) + 8);
        public readonly AlignedBuffer<int> Latent = new(Candidates.CapacityFor(k) + 8);
    }

    private sealed class DenseScratch(int stride)
    {
        public readonly int Stride = stride;
        public readonly AlignedBuffer<float> All = new((long)DenseRows * stride), Value = new(stride);   // [rows, stride], [stride]
        public readonly AlignedBuffer<int> Latent = new(stride);
    }

    /// <param name="d">Padded width of a row, a multiple of 16.</param>
    /// <param name="maxLatents">Most latents that will be packed.</param>
    /// <param name="k">Kept for a row.</param>
    /// <param name="maxRows">Most rows of a batch.</param>
    /// <param name="lanes">Where the work runs.</param>
    /// <param name="screenName">Absent: the fastest that the processor has.</param>
    public TopKEncoder(int d, int maxLatents, int k, int maxRows, Lanes lanes, string? screenName = null)
    {
        (this.d, this.k, this.maxRows, this.maxLatents, this.lanes) = (d, k, maxRows, maxLatents, lanes);
        ScreenName = screenName ?? Screen.Fastest;
        scratch = new Scratch[lanes.Count];
        dense = new DenseScratch[lanes.Count];
    }

    public string ScreenName { get; }

    // Not made where it is not needed: it holds a copy of the weights.
    private Screen Screening => madeScreen ??= Screen.Create(d, maxLatents, ScreenName);

    /// <summary>Takes over the latents of W [F, d] and b [F], or the selected ones, in their order. All of them must stay where and as they are until the last <see cref="Encode"/>.</summary>
    public void Pack(float* w, float* b, int count, int* selected = null)
    {
        weights = w;
        biases = b;
        names = selected;
        latents = count;
        if (!Dense)
            Screening.Pack(w, b, count, selected, lanes);
    }

    /// <summary>So much of a row is kept that screening saves nothing: of the dead latents, mostly.</summary>
    private bool Dense => (long)k * Screen.DenseShare >= latents;

    /// <param name="x">[rows, d], centred.</param>
    /// <param name="rows">At most the maximum named at construction.</param>
    /// <param name="result">Overwritten; each row at its own start.</param>
    public void Encode(float* x, int rows, ActiveRows result)
    {
        Fill(x, rows, result, null);
        if (!Dense)
            LearnThreshold(x, rows, result);
    }

    /// <summary>The k largest of each row as far as they are above <paramref name="floor"/>, which is at least 0.</summary>
    public void EncodeAbove(float* x, int rows, ActiveRows result, float floor) => Fill(x, rows, result, floor);

    private void Fill(float* x, int rows, ActiveRows result, float? floor)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, maxRows);
        if (Dense)
        {
            EncodeDense(x, rows, result);
            return;
        }
        var size = Math.Min(Screening.TilesOf((rows + (4 * lanes.Count) - 1) / (4 * lanes.Count)), Screening.TilesWithin(BlockBytes)) * Screening.TileRows;
        lanes.For((rows + size - 1) / size, (block, lane) =>
        {
            var mine = scratch[lane] is { } s && s.Row.Length >= size ? s : scratch[lane] = new(size, Screening, k);
            var first = block * size;
            var count = Math.Min(size, rows - first);
            for (var i = 0; i < count; i++)
            {
                var row = x + (long)(first + i) * d;
                mine.Row.Pointer[i] = first + i;
                mine.Guess.Pointer[i] = floor ?? (alpha > 0 ? alpha * MathF.Sqrt(RowKernel.Dot(row, row, d)) : 0);
            }
            var again = Block(x, mine, mine.Row.Pointer, count, result, guessed: floor is null);
            if (again == 0)
                return;
            mine.Guess.Slice(0, again).Clear();
            Block(x, mine, mine.Again.Pointer, again, result, guessed: false);
        });
    }

    /// <param name="guessed">Whether k values are wanted even where fewer are above <see cref="Scratch.Guess"/>.</param>
    /// <returns>How many rows (listed in <see cref="Scratch.Again"/>) had fewer than k values above a guessed threshold.</returns>
    private int Block(float* x, Scratch s, int* rowIds, int count, ActiveRows result, bool guessed)
    {
        var tiles = Screening.TilesOf(count);
        for (var i = 0; i < tiles * Screening.TileRows; i++)
        {
            var bound = Screening.PackRow(i < count ? x + (long)rowIds[i] * d : null, s.Packed.Pointer, tiles, i);
            if (i < count)
                s.Candidates.Clear(i, s.Guess.Pointer[i], bound);
        }
        Screening.Packed(s.Packed.Pointer, tiles);
        for (var panel = 0; panel < Screening.Panels; panel++)
            Screening.Sift(s.Packed.Pointer, tiles, count, panel, s.Candidates);
        var again = 0;
        for (var i = 0; i < count; i++)
        {
            var row = rowIds[i];
            float* values = s.Value.Pointer;
            var indices = s.Latent.Pointer;
            int n;
            if (s.Candidates.TryNarrow(i))
            {
                values = s.Candidates.Values(i);
                indices = s.Candidates.Latents(i);
                n = s.Candidates.Count(i);
                Compute(x + (long)row * d, indices, values, n);
            }
            else
                n = AmongAll(x + (long)row * d, s);
            n = TopK.Select(values, indices, n, k, out var least);
            if (guessed && s.Guess.Pointer[i] > 0 && !(least > s.Guess.Pointer[i]))
            {
                s.Again.Pointer[again++] = row;
                continue;
            }
            var floor = guessed ? 0 : s.Guess.Pointer[i];
            var kept = 0;
            for (var j = 0; j < n; j++)
                if (values[j] > floor)
                {
                    result.Index.Pointer[(long)row * k + kept] = indices[j];
                    result.Value.Pointer[(long)row * k + kept++] = values[j];
                }
            result.Count.Pointer[row] = kept;
        }
        return again;
    }

    /// <summary>All pre-activations of a few rows at a time, a group of latents at a time, and then the k largest of each row.</summary>
    private void EncodeDense(float* x, int rows, ActiveRows result) => lanes.For((rows + DenseRows - 1) / DenseRows, (block, lane) =>
    {
        var s = dense[lane] is { } mine && mine.Stride >= latents + 8 ? mine : dense[lane] = new(latents + 8);
        var (first, count) = (block * DenseRows, Math.Min(DenseRows, rows - (block * DenseRows)));
        var group = Math.Max(GroupBytes / sizeof(float) / d / PreActivation.Latents, 1) * PreActivation.Latents;
        var some = stackalloc int[PreActivation.Latents];
        for (var start = 0; start < latents; start += group)
            for (var i = 0; i < count; i += PreActivation.Rows)
                for (var at = start; at < Math.Min(start + group, latents); at += PreActivation.Latents)
                {
                    var (tileRows, tileLatents) = (Math.Min(PreActivation.Rows, count - i), Math.Min(PreActivation.Latents, latents - at));
                    for (var c = 0; c < tileLatents; c++)
                        some[c] = NameOf(at + c);
                    PreActivation.Tile(x + (long)(first + i) * d, tileRows, weights, biases, some, tileLatents, d, s.All.Pointer + (long)i * s.Stride + at, s.Stride);
                }
        for (var i = 0; i < count; i++)
        {
            var values = s.All.Pointer + (long)i * s.Stride;
            var n = 0;
            for (var at = 0; at < latents; at++)
            {
                // Without a branch: half of them are positive, in no order.
                var value = values[at];
                s.Value.Pointer[n] = value;
                s.Latent.Pointer[n] = at;
                n += value > 0 ? 1 : 0;
            }
            n = TopK.Select(s.Value.Pointer, s.Latent.Pointer, n, k, out _);
            s.Latent.Slice(0, n).CopyTo(result.Index.Slice((long)(first + i) * k, k));
            s.Value.Slice(0, n).CopyTo(result.Value.Slice((long)(first + i) * k, k));
            result.Count.Pointer[first + i] = n;
        }
    });

    private int NameOf(int position) => names == null ? position : names[position];

    /// <summary>The candidates' pre-activations in place of their screened values; 0 for those that are not positive.</summary>
    private void Compute(float* x, int* candidates, float* values, int count)
    {
        for (var from = 0; from < count; from += PreActivation.Latents)
            Activations(x, candidates + from, Math.Min(PreActivation.Latents, count - from), values + from);
    }

    /// <summary>What may be among the k largest of all latents, into the scratch: for rows of which the screen can not tell enough.</summary>
    private int AmongAll(float* x, Scratch s)
    {
        var (n, threshold) = (0, 0f);
        var four = stackalloc int[4];
        var values = stackalloc float[4];
        for (var position = 0; position < latents; position += 4)
        {
            var some = Math.Min(4, latents - position);
            for (var i = 0; i < some; i++)
                four[i] = position + i;
            Activations(x, four, some, values);
            for (var i = 0; i < some; i++)
                if (values[i] > threshold)
                {
                    s.Value.Pointer[n] = values[i];
                    s.Latent.Pointer[n++] = position + i;
                }
            if (n + 4 > s.Value.Length - 8)
                // Later equals of the k-th lose to it, so what counts must be above.
                n = TopK.Select(s.Value.Pointer, s.Latent.Pointer, n, k, out threshold);
        }
        return n;
    }

    /// <summary>ReLU of the pre-activations of up to four latents, by their positions.</summary>
    private void Activations(float* x, int* positions, int count, float* values)
    {
        var at = stackalloc int[PreActivation.Latents];
        var tile = stackalloc float[PreActivation.Rows * PreActivation.Latents];
        for (var i = 0; i < count; i++)
            at[i] = NameOf(positions[i]);
        PreActivation.Tile(x, 1, weights, biases, at, count, d, tile);
        for (var i = 0; i < count; i++)
            values[i] = tile[i] > 0 ? tile[i] : 0;
    }

    /// <summary>Next batch's guess: what all but about one row in a hundred of (the start of) this one would have passed.</summary>
    private void LearnThreshold(float* x, int rows, ActiveRows result)
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
