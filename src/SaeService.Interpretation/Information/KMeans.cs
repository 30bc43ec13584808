using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// Lloyd's k-means from k-means++ centres (Arthur and Vassilvitskii 2007) over the standardised rows of a design. Distances in float32, sums in float64 and in
/// the order of the rows: clusters depend on the seed, not on the number of threads.
/// </summary>
public static class KMeans
{
    private const int BlockRows = 128;
    private const int MaxRounds = 100;

    /// <summary>Candidates that fit a panel of the products.</summary>
    private const int Draws = 8;

    /// <summary>Done when a round lowers the sum of squares by less than this share.</summary>
    private const double Tolerance = 1e-4;
    private const long Stream = 0x6B6D65616E73;

    /// <returns>Cluster of each row, in [0, k); a cluster may end up empty.</returns>
    public static int[] Clusters(ProbeDesign design, int k, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, design.Rows);
        int stride = design.Stride, padded = PanelProducts.Padded(k);
        var centres = Spread(design, k, seed); // [k, stride]
        float[] panels = new float[stride * padded], bias = new float[padded];
        var cluster = new int[design.Rows];
        var nearest = new double[(design.Rows + BlockRows - 1) / BlockRows];
        var before = 0.0;
        for (var round = 0; ; round++)
        {
            Pack(centres, k, stride, padded, panels, bias);
            Parallel.For(0, nearest.Length, design.Parallelism, block => nearest[block] = Assign(design, block, panels, bias, padded, k, cluster));
            var squares = nearest.Sum();
            if (round == MaxRounds || round > 0 && before - squares <= Tolerance * before)
                return cluster;
            before = squares;
            Centre(design, k, cluster, centres);
        }
    }

    /// <summary>
    /// k-means++: each further centre is a row, drawn in proportion to its squared distance from the nearest centre so far; of a few draws, the one that leaves
    /// the least (the greedy form, with 2 + ln k draws).
    /// </summary>
    private static float[] Spread(ProbeDesign design, int k, long seed)
    {
        var random = new CounterRandom(seed ^ Stream, 0);
        int stride = design.Stride, draws = Math.Min(2 + (int)Math.Log(k), Draws);
        var centres = new float[k * stride];
        var norm = Enumerable.Range(0, design.Rows).Select(row => design.SquaredNorm(row, 1)).ToArray();
        var distance = new double[design.Rows]; // to the nearest centre, squared
        var left = new double[(design.Rows + BlockRows - 1) / BlockRows][];
        float[] panel = new float[stride * Draws], zero = new float[Draws];
        float[] product = new float[left.Length * BlockRows * Draws]; // [rows, draws]
        var drawn = new int[draws];
        for (var c = 0; c < k; c++)
        {
            var total = distance.Sum();
            for (var draw = 0; draw < draws; draw++)
                drawn[draw] = c == 0 ? random.Next(design.Rows) : Drawn(distance, random.NextDouble() * total);
            for (var draw = 0; draw < draws; draw++)
                for (var j = 0; j < stride; j++)
                    panel[j * Draws + draw] = design.X[drawn[draw] * stride + j];
            Parallel.For(0, left.Length, design.Parallelism, block =>
            {
                var from = block * BlockRows;
                var rows = Math.Min(BlockRows, design.Rows - from);
                PanelProducts.Multiply(design.X.AsSpan(from * stride), stride, ProbeDesign.RowsAllocated(rows), panel, zero, product.AsSpan(from * Draws), Draws);
                left[block] = new double[draws];
                for (var row = from; row < from + rows; row++)
                    for (var draw = 0; draw < draws; draw++)
                        left[block][draw] += Nearer(row, draw, c);
            });
            var best = Enumerable.Range(0, draws).MinBy(draw => left.Sum(block => block[draw]));
            for (var row = 0; row < design.Rows; row++)
                distance[row] = Nearer(row, best, c);
            distance[drawn[best]] = 0;
            design.X.AsSpan(drawn[best] * stride, stride).CopyTo(centres.AsSpan(c * stride));
        }
        return centres;

        double Nearer(int row, int draw, int c)
        {
            var squared = Math.Max(0, norm[row] - 2 * product[row * Draws + draw] + norm[drawn[draw]]);
            return c == 0 ? squared : Math.Min(distance[row], squared);
        }
    }

    private static int Drawn(double[] weight, double at)
    {
        var row = 0;
        while (row < weight.Length - 1 && (at -= weight[row]) >= 0)
            row++;
        return row;
    }

    /// <summary>The centre nearest to each row of a block is that of the largest x·c - |c|²/2. Returns the block's Σ |c|² - 2 x·c.</summary>
    private static double Assign(ProbeDesign design, int block, float[] panels, float[] bias, int padded, int k, int[] cluster)
    {
        var from = block * BlockRows;
        var rows = Math.Min(BlockRows, design.Rows - from);
        var z = new float[BlockRows * padded];
        PanelProducts.Multiply(design.X.AsSpan(from * design.Stride), design.Stride, ProbeDesign.RowsAllocated(rows), panels, bias, z, padded);
        var sum = 0.0;
        for (var row = 0; row < rows; row++)
        {
            var scores = z.AsSpan(row * padded, k);
            var best = 0;
            for (var c = 1; c < k; c++)
                if (scores[c] > scores[best])
                    best = c;
            cluster[from + row] = best;
            sum -= 2 * scores[best];
        }
        return sum + design.SquaredNorm(from, rows);
    }

    /// <summary>Each centre becomes the mean of its rows; that of an empty cluster stays.</summary>
    private static void Centre(ProbeDesign design, int k, int[] cluster, float[] centres)
    {
        var start = new int[k + 1];
        foreach (var c in cluster)
            start[c + 1]++;
        for (var c = 0; c < k; c++)
            start[c + 1] += start[c];
        var next = start[..k];
        var rows = new int[cluster.Length];
        for (var row = 0; row < cluster.Length; row++)
            rows[next[cluster[row]]++] = row;
        var stride = design.Stride;
        Parallel.For(0, k, design.Parallelism, c =>
        {
            if (start[c] == start[c + 1])
                return;
            var sum = new double[stride];
            foreach (var row in rows.AsSpan(start[c], start[c + 1] - start[c]))
            {
                var x = design.X.AsSpan(row * stride, stride);
                for (var j = 0; j < x.Length; j++)
                    sum[j] += x[j];
            }
            for (var j = 0; j < stride; j++)
                centres[c * stride + j] = (float)(sum[j] / (start[c + 1] - start[c]));
        });
    }

    private static void Pack(float[] centres, int k, int stride, int padded, float[] panels, float[] bias)
    {
        Array.Fill(bias, -1e30f);
        for (var c = 0; c < k; c++)
        {
            var norm = 0.0;
            foreach (var v in centres.AsSpan(c * stride, stride))
                norm += (double)v * v;
            bias[c] = (float)(-norm / 2);
        }
        foreach (var (start, width) in PanelProducts.Panels(padded))
            for (var j = 0; j < stride; j++)
                for (var c = 0; c < Math.Min(width, k - start); c++)
                    panels[start * stride + j * width + c] = centres[(start + c) * stride + j];
    }
}
