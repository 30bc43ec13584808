using System.Text.Json.Nodes;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae bench toy</c> as a process, cut short: what it finds at full length is in the README.</summary>
public sealed class BenchTests
{
    private static readonly string[] s_short = ["bench", "toy", "--steps", "6", "--batch", "256", "--blocks", "1"];

    private static async Task<(int Status, string Output)> RunAsync(string home, bool keepHome, params string[] arguments)
    {
        await using var command = SaeCommand.Start(home, [.. s_short, .. arguments], keepHome);
        var status = await command.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (status, command.Output);
    }

    [Fact]
    public async Task Every_row_is_in_the_file_with_its_peers_and_in_the_table()
    {
        var home = SaeCommand.NewHome();
        try
        {
            var file = Path.Combine(home, "rows.json");
            var (status, output) = await RunAsync(home, keepHome: true, "--generator", "uncorrelated", "correlated", "--folder", home, "--json", file);
            Assert.True(status == 0, output);
            Assert.Contains("random directions: the floor", output, StringComparison.Ordinal);
            Assert.Contains("dictionary_learning TopK", output, StringComparison.Ordinal);
            var rows = JsonNode.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))!.AsArray();
            Assert.Equal([("correlated", 512, 5), ("correlated", 1024, 8), ("uncorrelated", 512, 2)],
                rows.Select(r => (r!["generator"]!.GetValue<string>(), r["n"]!.GetValue<int>(), r["k"]!.GetValue<int>())));
            foreach (var row in rows)
                foreach (var figure in new[] { "mmcs", "mcc", "fvu", "dead", "seconds", "random_mmcs", "random_mcc" })
                    Assert.True(row![figure]!.GetValue<double>() >= 0, figure);
            Assert.Equal(0.916, rows[1]!["peers"]![0]!["mmcs"]!.GetValue<double>());
            Assert.Equal(["rows.json"], Directory.GetFiles(home).Select(Path.GetFileName));

            (status, output) = await RunAsync(home, keepHome: true, "--generator", "uncorrelated", "--n", "64", "--k", "3", "--seed", "1", "2", "--json");
            Assert.True(status == 0, output);
            Assert.Equal([1, 2], JsonNode.Parse(output)!.AsArray().Select(r => r!["seed"]!.GetValue<int>()));
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }

    [Theory]
    [InlineData("there is no generator 'sharkey'", "--generator", "sharkey")]
    [InlineData("K is 9; it must be at most DSae = 8", "--generator", "uncorrelated", "--n", "8", "--k", "9")]
    [InlineData("DSae is 0", "--generator", "uncorrelated", "--n", "0")]
    public async Task What_can_not_be_run_is_said_so(string message, params string[] arguments)
    {
        var (status, output) = await RunAsync(SaeCommand.NewHome(), keepHome: false, arguments);
        Assert.Equal(1, status);
        Assert.Contains(message, output, StringComparison.Ordinal);
    }
}
