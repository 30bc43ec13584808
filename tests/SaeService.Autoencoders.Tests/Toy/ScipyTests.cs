using System.Diagnostics;
using System.Text.Json;
using SaeService.Autoencoders.Toy;
using Xunit;

namespace SaeService.Autoencoders.Tests.Toy;

/// <summary>The toy benchmark's numerics against numpy and scipy, where Debian's python3-scipy is installed.</summary>
public sealed class ScipyTests
{
    private const string Python = "/usr/bin/python3";

    private const string Script = """
        import json, sys
        import numpy as np
        from scipy.optimize import linear_sum_assignment
        from scipy.stats import norm
        given = json.load(sys.stdin)
        assignments = []
        for m in given['matrices']:
            cost = np.array(m['cost']).reshape(m['rows'], m['columns'])
            rows, columns = linear_sum_assignment(cost)
            assignments.append({'total': float(cost[rows, columns].sum()), 'rows': rows.tolist(), 'columns': columns.tolist()})
        c = np.array(given['symmetric'])
        json.dump({
            'assignments': assignments,
            'cdf': norm.cdf(given['z']).tolist(),
            'ppf': norm.ppf(given['p']).tolist(),
            'smallest': float(np.linalg.eigvalsh(c)[0]),
            'shifted': float(np.linalg.eigvalsh(np.array(given['covariance']))[0]),
        }, sys.stdout)
        """;

    private sealed record Matrix(int Rows, int Columns, double[] Cost);

    [Fact]
    public void Assignments_normal_quantiles_and_eigenvalues_equal_those_of_scipy()
    {
        if (!File.Exists(Python) || Run("import scipy", "") is null)
            Assert.Skip($"needs {Python} with scipy (apt-get install python3-scipy)");
        var random = new Random(4);
        Matrix Draw(int rows, int columns, Func<double> cost) => new(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => cost())]);
        Matrix[] matrices =
        [
            Draw(40, 40, random.NextDouble), Draw(30, 70, random.NextDouble), Draw(70, 30, random.NextDouble),
            Draw(200, 200, random.NextDouble), Draw(150, 150, () => random.Next(5)), Draw(60, 61, () => 1e6 * random.NextDouble() - 5e5),
        ];
        double[] z = [.. Enumerable.Range(-85, 171).Select(i => i / 10.0), 1e-9, -1e-9, 40, -40];
        double[] p = [1e-6, 2.97e-4, 5e-4, 0.01, 0.05, 0.3, 0.5, 0.7, 0.999, 1 - 1e-6];
        const int N = 60;
        var symmetric = new SymmetricMatrix(N);
        for (var i = 0; i < N; i++)
            for (var j = 0; j <= i; j++)
                symmetric[i, j] = random.NextDouble();
        var covariance = BasePaperGenerator.Covariance(seed: 3, N, correlation: false);
        double[][] Rows(SymmetricMatrix m) => [.. Enumerable.Range(0, N).Select(i => Enumerable.Range(0, N).Select(j => m[i, j]).ToArray())];

        using var golden = JsonDocument.Parse(Run(Script,
            JsonSerializer.Serialize(new { matrices, z, p, symmetric = Rows(symmetric), covariance = Rows(covariance) }, JsonSerializerOptions.Web))!);
        double[] Numbers(string name) => [.. golden.RootElement.GetProperty(name).EnumerateArray().Select(v => v.GetDouble())];
        foreach (var (matrix, expected) in matrices.Zip(golden.RootElement.GetProperty("assignments").EnumerateArray()))
        {
            var found = Assignment.Solve(matrix.Cost, matrix.Rows, matrix.Columns);
            var total = found.Index().Where(f => f.Item >= 0).Sum(f => matrix.Cost[f.Index * matrix.Columns + f.Item]);
            Assert.Equal(expected.GetProperty("total").GetDouble(), total, 1e-6 * Math.Max(1, Math.Abs(total) / 1e3));
            if (matrix.Cost.Distinct().Count() == matrix.Cost.Length)
                Assert.Equal(
                    expected.GetProperty("rows").EnumerateArray().Zip(expected.GetProperty("columns").EnumerateArray(), (r, c) => (r.GetInt32(), c.GetInt32())),
                    found.Index().Where(f => f.Item >= 0).Select(f => (f.Index, f.Item)));
        }
        foreach (var (at, expected) in z.Zip(Numbers("cdf")))
            Assert.Equal(expected, NormalDistribution.Cdf(at), 2e-15);
        foreach (var (at, expected) in p.Zip(Numbers("ppf")))
            Assert.Equal(expected, NormalDistribution.Quantile(at), 1e-9);
        Assert.Equal(golden.RootElement.GetProperty("smallest").GetDouble(), symmetric.SmallestEigenvalue(), 1e-7);
        // Lowered by 1.001 times the smallest eigenvalue, a thousandth of its size is left.
        var left = golden.RootElement.GetProperty("shifted").GetDouble();
        Assert.InRange(left, 0.0015, 0.006);
        Assert.Equal(left, covariance.SmallestEigenvalue(), 1e-7);
    }

    /// <summary>What the script prints, or null where it fails.</summary>
    private static string? Run(string script, string input)
    {
        using var process = Process.Start(new ProcessStartInfo(Python, ["-c", script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : input.Length == 0 ? null : throw new InvalidOperationException(errors.Result);
    }
}
