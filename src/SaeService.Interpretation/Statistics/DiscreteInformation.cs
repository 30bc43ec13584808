namespace SaeService.Interpretation.Statistics;

/// <summary>Entropies and mutual information of counted tables [rows, columns], with their corrections (method 1d, 1). Bits throughout.</summary>
public static class DiscreteInformation
{
    /// <summary>Entropy of a distribution given by counts, bits.</summary>
    public static double EntropyBits(ReadOnlySpan<int> counts)
    {
        long total = 0;
        double sum = 0;
        foreach (var count in counts)
        {
            if (count <= 0)
                continue;
            total += count;
            sum += count * Math.Log2(count);
        }
        return total == 0 ? 0 : Math.Max(0, Math.Log2(total) - sum / total);
    }

    /// <summary>Σ (n_xy / N) log2(N n_xy / (n_x n_y)).</summary>
    public static double MutualInformationBits(ReadOnlySpan<int> table, int rows, int columns)
    {
        var (rowSums, columnSums, total) = Margins(table, rows, columns);
        if (total == 0)
            return 0;
        var sum = 0.0;
        for (var x = 0; x < rows; x++)
            for (var y = 0; y < columns; y++)
                if (table[x * columns + y] is > 0 and var n)
                    sum += n * Math.Log2((double)n * total / ((double)rowSums[x] * columnSums[y]));
        return Math.Max(0, sum / total);
    }

    /// <summary>The plug-in value minus Miller and Madow's bias, [(r-1) + (c-1) - (m_xy-1)] / 2N with its sign turned; m counts occupied cells.</summary>
    public static double MillerMadowBits(ReadOnlySpan<int> table, int rows, int columns)
    {
        var (rowSums, columnSums, total) = Margins(table, rows, columns);
        if (total == 0)
            return 0;
        int r = Occupied(rowSums), c = Occupied(columnSums), cells = Occupied(table);
        return MutualInformationBits(table, rows, columns) + ((r - 1) + (c - 1) - (cells - 1)) / (2.0 * total * Math.Log(2));
    }

    /// <summary>E[I] under permutation of the labels with both margins held (Vinh, Epps and Bailey 2010, eq. 24), bits.</summary>
    public static double ExpectedMutualInformationBits(ReadOnlySpan<int> rowSums, ReadOnlySpan<int> columnSums)
    {
        var total = 0;
        foreach (var n in rowSums)
            total = checked(total + n);
        var sum = 0.0;
        foreach (var row in rowSums)
            foreach (var column in columnSums)
                if (row > 0 && column > 0)
                    sum += ExpectedCell(row, column, total);
        return sum;
    }

    /// <summary>(I - E) / (mean(H) - E), with the arithmetic mean, or the larger entropy where <paramref name="max"/>.</summary>
    public static double AdjustedMutualInformation(ReadOnlySpan<int> table, int rows, int columns, bool max = false)
    {
        var (rowSums, columnSums, _) = Margins(table, rows, columns);
        double hx = EntropyBits(rowSums), hy = EntropyBits(columnSums);
        var expected = ExpectedMutualInformationBits(rowSums, columnSums);
        var above = (max ? Math.Max(hx, hy) : (hx + hy) / 2) - expected;
        return above == 0 ? 1 : (MutualInformationBits(table, rows, columns) - expected) / above;
    }

    /// <summary>I / mean(H), arithmetic.</summary>
    public static double NormalisedMutualInformation(ReadOnlySpan<int> table, int rows, int columns)
    {
        var (rowSums, columnSums, _) = Margins(table, rows, columns);
        var mean = (EntropyBits(rowSums) + EntropyBits(columnSums)) / 2;
        return mean == 0 ? 1 : MutualInformationBits(table, rows, columns) / mean;
    }

    /// <summary>G = 2 N I (nats), and log10 of its χ² tail with (r-1)(c-1) degrees of freedom over occupied margins.</summary>
    public static (double G, double Log10P) GTest(ReadOnlySpan<int> table, int rows, int columns)
    {
        var (rowSums, columnSums, total) = Margins(table, rows, columns);
        var g = 2 * total * MutualInformationBits(table, rows, columns) * Math.Log(2);
        var freedom = (Occupied(rowSums) - 1) * (Occupied(columnSums) - 1);
        return (g, freedom < 1 ? 0 : SpecialFunctions.Log10ChiSquaredTail(g, freedom));
    }

    private static double ExpectedCell(int a, int b, int total)
    {
        var least = Math.Max(1, a + b - total);
        var most = Math.Min(a, b);
        if (least > most)
            return 0;
        // Hypergeometric terms by recurrence from the mode outwards: no factorials in the loop, no underflow where it matters.
        var mode = Math.Clamp((int)((a + 1.0) * (b + 1.0) / (total + 2.0)), least, most);
        var logWays = SpecialFunctions.LogBinomial(b, mode) + SpecialFunctions.LogBinomial(total - b, a - mode);
        var atMode = Math.Exp(logWays - SpecialFunctions.LogBinomial(total, a));
        double na = a, nb = b, rest = (double)total - a - b;
        var scale = Math.Log2(total) - Math.Log2(na) - Math.Log2(nb);
        var sum = 0.0;
        var p = atMode;
        for (var n = mode; n <= most && p > 1e-18; n++)
        {
            sum += p * n * (Math.Log2(n) + scale);
            p *= (nb - n) * (na - n) / ((n + 1.0) * (rest + n + 1));
        }
        p = atMode;
        for (var n = mode; n > least && p > 1e-18;)
        {
            p *= n * (rest + n) / ((nb - n + 1) * (na - n + 1));
            n--;
            sum += p * n * (Math.Log2(n) + scale);
        }
        return sum / total;
    }

    private static (int[] Rows, int[] Columns, long Total) Margins(ReadOnlySpan<int> table, int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(table.Length, rows * columns);
        var rowSums = new int[rows];
        var columnSums = new int[columns];
        long total = 0;
        for (var x = 0; x < rows; x++)
            for (var y = 0; y < columns; y++)
            {
                var n = table[x * columns + y];
                rowSums[x] += n;
                columnSums[y] += n;
                total += n;
            }
        return (rowSums, columnSums, total);
    }

    private static int Occupied(ReadOnlySpan<int> counts)
    {
        var occupied = 0;
        foreach (var count in counts)
            occupied += count > 0 ? 1 : 0;
        return occupied;
    }
}
