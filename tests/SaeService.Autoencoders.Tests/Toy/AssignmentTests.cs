using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

public sealed class AssignmentTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 5)]
    [InlineData(5, 3)]
    [InlineData(6, 6)]
    [InlineData(1, 7)]
    [InlineData(7, 1)]
    public void The_total_is_the_least_of_all_assignments(int rows, int columns)
    {
        var random = new Random(rows * 10 + columns);
        foreach (var ties in new[] { false, true })
            for (var trial = 0; trial < 40; trial++)
            {
                // Few distinct costs, so that ties are everywhere; or all different, also negative.
                var cost = Enumerable.Range(0, rows * columns).Select(_ => ties ? random.Next(3) : random.NextDouble() * 4 - 2).ToArray();
                var found = Assignment.Solve(cost, rows, columns);
                var pairs = found.Index().Where(p => p.Item >= 0).ToList();
                Assert.Equal((rows, Math.Min(rows, columns)), (found.Length, pairs.Count));
                Assert.Equal(pairs.Count, pairs.Select(p => p.Item).Distinct().Count());
                Assert.Equal(Least(cost, rows, columns), pairs.Sum(p => cost[p.Index * columns + p.Item]), 1e-12);
            }
    }

    [Fact]
    public void Costs_that_can_not_be_added_up_and_shapes_that_do_not_fit_are_refused()
    {
        Assert.Empty(Assignment.Solve([], 0, 3));
        Assert.Equal([-1, -1], Assignment.Solve([], 2, 0));
        Assert.Contains("row 1 and column 0 is NaN", Assert.Throws<ArgumentException>(() => Assignment.Solve([1, 2, double.NaN, 4], 2, 2)).Message);
        Assert.Contains("row 0 and column 2", Assert.Throws<ArgumentException>(() => Assignment.Solve([1, 2, double.PositiveInfinity], 1, 3)).Message);
        Assert.Contains("3 costs", Assert.Throws<ArgumentException>(() => Assignment.Solve([1, 2, 3], 2, 2)).Message);
    }

    /// <summary>By trying them all.</summary>
    private static double Least(double[] cost, int rows, int columns)
    {
        double Rest(int row, int taken, int skipped)
        {
            if (row == rows)
                return 0;
            var least = skipped < rows - columns ? Rest(row + 1, taken, skipped + 1) : double.PositiveInfinity;
            for (var j = 0; j < columns; j++)
                if ((taken & 1 << j) == 0)
                    least = Math.Min(least, cost[row * columns + j] + Rest(row + 1, taken | 1 << j, skipped));
            return least;
        }
        return Rest(0, 0, 0);
    }
}
