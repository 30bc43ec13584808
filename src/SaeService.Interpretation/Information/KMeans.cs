using System.Runtime.Intrinsics;
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

    /// <summary>k-means++: each further centre is a row, drawn in proportion to its squared distance from the nearest centre so far.</summary>
    private static float[] Spread(ProbeDesign design, int k, long seed)
    {
        var random = new CounterRandom(seed ^ Stream, 0);
        var stride = design.Stride;
        var centres = new float[k * stride];
        var distance = new double[design.Rows];
        Array.Fill(distance, double.PositiveInfinity);
        var row = random.Next(design.Rows);
        for (var c = 0; ; c++)
        {
            var centre = centres.AsMemory(c * stride, stride);
            design.X.AsSpan(row * stride, stride).CopyTo(centre.Span);
            if (c == k - 1)
                return centres;
            Parallel.For(0, (design.Rows + BlockRows - 1) / BlockRows, design.Parallelism, block =>
            {
                for (var i = block * BlockRows; i < Math.Min(design.Rows, (block + 1) * BlockRows); i++)
                    distance[i] = Math.Min(distance[i], SquaredDistance(design.X.AsSpan(i * stride, stride), centre.Span));
            });
            var at = random.NextDouble() * distance.Sum();
            row = 0;
            while (row < design.Rows - 1 && (at -= distance[row]) >= 0)
                row++;
        }
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

    /// <summary>Own loop: the library's sums may depend on where an array lies.</summary>
    private static double SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = Vector256<float>.Zero;
        for (var i = 0; i < a.Length; i += Vector256<float>.Count)
        {
            var difference = Vector256.Create(a[i..]) - Vector256.Create(b[i..]);
            sum = Vector256.FusedMultiplyAdd(difference, difference, sum);
        }
        return Vector256.Sum(sum);
    }
}
