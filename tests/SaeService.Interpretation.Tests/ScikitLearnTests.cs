using System.Diagnostics;
using System.Text.Json;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>The same numbers from scikit-learn and scipy, where Debian's python3-sklearn is installed.</summary>
public sealed class ScikitLearnTests
{
    private const string Python = "/usr/bin/python3";

    private const string Script = """
        import json, sys
        import numpy as np
        from scipy.stats import hypergeom
        from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score, normalized_mutual_info_score
        from sklearn.metrics.cluster import expected_mutual_information, contingency_matrix
        from sklearn.feature_selection import mutual_info_classif
        given = json.load(sys.stdin)
        a, b, x, tails = given['a'], given['b'], given['x'], given['tails']
        emi = expected_mutual_information(contingency_matrix(a, b), len(a))
        json.dump({
            'mi': mutual_info_score(a, b), 'emi': float(emi), 'ami': adjusted_mutual_info_score(a, b), 'nmi': normalized_mutual_info_score(a, b),
            'ross': float(mutual_info_classif(np.array(x).reshape(-1, 1), b, n_neighbors=3, random_state=0)[0]),
            'tails': [float(hypergeom.logsf(h - 1, n, k, m) / np.log(10)) for h, m, k, n in tails],
        }, sys.stdout)
        """;

    [Fact]
    public void Information_and_tails_equal_those_of_scikit_learn_and_scipy()
    {
        SkipWithout();
        var random = new CounterRandom(3, 0);
        int[] a = new int[3000], b = new int[3000];
        var x = new double[3000];
        for (var i = 0; i < a.Length; i++)
        {
            b[i] = random.Next(7);
            a[i] = random.NextDouble() < 0.5 ? b[i] / 2 : random.Next(5);
            x[i] = random.NextNormal() + 0.8 * b[i];
        }
        int[][] tails = [[3, 20, 30, 200], [40, 120, 2000, 9000], [300, 1000, 5000, 30_000], [10, 500, 90, 64_000]];
        var output = Run(Script, JsonSerializer.Serialize(new { a, b, x, tails }))!;
        var golden = JsonDocument.Parse(output).RootElement;
        double Of(string name) => golden.GetProperty(name).GetDouble();

        int rows = a.Max() + 1, columns = b.Max() + 1;
        var table = new int[rows * columns];
        for (var i = 0; i < a.Length; i++)
            table[a[i] * columns + b[i]]++;
        var rowSums = Enumerable.Range(0, rows).Select(r => a.Count(v => v == r)).ToArray();
        var columnSums = Enumerable.Range(0, columns).Select(c => b.Count(v => v == c)).ToArray();
        Assert.Equal(Of("mi"), DiscreteInformation.MutualInformationBits(table, rows, columns) * Math.Log(2), 1e-10);
        Assert.Equal(Of("emi"), DiscreteInformation.ExpectedMutualInformationBits(rowSums, columnSums) * Math.Log(2), 1e-9);
        Assert.Equal(Of("ami"), DiscreteInformation.AdjustedMutualInformation(table, rows, columns), 1e-8);
        Assert.Equal(Of("nmi"), DiscreteInformation.NormalisedMutualInformation(table, rows, columns), 1e-9);
        Assert.Equal(Of("ross"), NearestNeighbourInformation.Nats(x, b), 1e-6);
        foreach (var (tail, expected) in tails.Zip(golden.GetProperty("tails").Numbers()))
            Assert.Equal(expected, Hypergeometric.Log10UpperTail(tail[0], tail[1], tail[2], tail[3]), Math.Max(1e-9, Math.Abs(expected) * 1e-8));
    }

    internal static void SkipWithout()
    {
        if (!File.Exists(Python) || Run("import sklearn, scipy", "") is null)
            Assert.Skip($"needs {Python} with scikit-learn (apt-get install python3-sklearn)");
    }

    /// <summary>Standard output; null where the script fails.</summary>
    internal static string? Run(string script, string input)
    {
        var start = new ProcessStartInfo(Python, ["-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            TestContext.Current.SendDiagnosticMessage(errors.Result);
        return process.ExitCode == 0 ? output : null;
    }
}
