namespace SaeService.Autoencoders.Toy;

/// <summary>
/// The linear assignment problem: a partner for every row, no column twice, at the least total cost. One shortest augmenting path a row, in reduced costs that
/// never turn negative (Jonker and Volgenant 1987; the rectangular form is Crouse 2016, IEEE Trans. Aerosp. 52(4)). O(rows² columns).
/// </summary>
public static class Assignment
{
    /// <param name="cost">[rows, columns], row-major, finite.</param>
    /// <param name="rows">Either may be the larger.</param>
    /// <param name="columns">The number of pairs is the lesser of the two.</param>
    /// <returns>[rows]: the column of each row, or -1 where there are more rows than columns and it has none.</returns>
    /// <exception cref="ArgumentException">A cost that is not finite, named by row and column, or a number of costs that does not fit.</exception>
    public static int[] Solve(ReadOnlySpan<double> cost, int rows, int columns)
    {
        if (rows < 0 || columns < 0 || cost.Length != (long)rows * columns)
            throw new ArgumentException($"{cost.Length} costs are not [{rows}, {columns}]", nameof(cost));
        for (var i = 0; i < cost.Length; i++)
            if (!double.IsFinite(cost[i]))
                throw new ArgumentException($"the cost of row {i / columns} and column {i % columns} is {cost[i]}", nameof(cost));
        if (rows <= columns)
            return SolveWide(cost, rows, columns);

        var transposed = new double[cost.Length];
        for (var i = 0; i < rows; i++)
            for (var j = 0; j < columns; j++)
                transposed[j * rows + i] = cost[i * columns + j];
        var rowOf = SolveWide(transposed, columns, rows);
        var columnOf = new int[rows];
        Array.Fill(columnOf, -1);
        for (var j = 0; j < columns; j++)
            columnOf[rowOf[j]] = j;
        return columnOf;
    }

    private static int[] SolveWide(ReadOnlySpan<double> cost, int rows, int columns)
    {
        double[] u = new double[rows], v = new double[columns];   // prices: cost - u - v is never negative, and 0 for a pair
        int[] columnOf = new int[rows], rowOf = new int[columns], from = new int[columns];
        var distance = new double[columns];
        var settled = new bool[columns];
        Array.Fill(columnOf, -1);
        Array.Fill(rowOf, -1);
        for (var start = 0; start < rows; start++)
        {
            Array.Fill(distance, double.PositiveInfinity);
            Array.Clear(settled);
            var (row, reached, end) = (start, 0.0, -1);
            while (end < 0)
            {
                var nearest = -1;
                for (var j = 0; j < columns; j++)
                {
                    if (settled[j])
                        continue;
                    var through = reached + cost[row * columns + j] - u[row] - v[j];
                    if (through < distance[j])
                        (distance[j], from[j]) = (through, row);
                    // Among equals a free column, which ends the search.
                    if (nearest < 0 || distance[j] < distance[nearest] || (distance[j] == distance[nearest] && rowOf[j] < 0 && rowOf[nearest] >= 0))
                        nearest = j;
                }
                (reached, settled[nearest]) = (distance[nearest], true);
                if (rowOf[nearest] < 0)
                    end = nearest;
                else
                    row = rowOf[nearest];
            }
            u[start] += reached;
            for (var j = 0; j < columns; j++)
                if (settled[j] && j != end)
                {
                    u[rowOf[j]] += reached - distance[j];
                    v[j] -= reached - distance[j];
                }
            for (var j = end; j >= 0;)
            {
                var i = from[j];
                rowOf[j] = i;
                (columnOf[i], j) = (j, columnOf[i]);
            }
        }
        return columnOf;
    }
}
