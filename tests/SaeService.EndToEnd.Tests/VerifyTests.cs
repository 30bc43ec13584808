using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae verify model</c>: the worker's output and exit status pass through the command line.</summary>
public sealed class VerifyTests
{
    private static async Task<(int Status, string Output)> RunAsync(params string[] arguments)
    {
        await using var command = SaeCommand.Start(SaeCommand.NewHome(), ["verify", "model", .. arguments]);
        var status = await command.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (status, command.Output);
    }

    [Fact]
    public async Task A_model_is_compared_line_by_line()
    {
        var model = SharedData.Require("fixtures/transformers/gpt2-default");
        var (status, output) = await RunAsync(model);
        Assert.True(status == 0, output);
        Assert.Contains("33 of 33 values within", output, StringComparison.Ordinal);
        (status, output) = await RunAsync(model, "--tolerance", "1e-9", "--json");
        Assert.Equal(1, status);
        var rows = JsonNode.Parse(output)!.AsArray();
        Assert.Equal(33, rows.Count);
        Assert.Contains(rows, row => row!["tensor"]!.GetValue<string>() == "attn_z" && row["layer"]!.GetValue<int>() == 2 && row["error"]!.GetValue<double>() > 0 && !row["passed"]!.GetValue<bool>());
    }

    [Fact]
    public async Task A_folder_that_cannot_be_used_is_said_so()
    {
        var (status, output) = await RunAsync(SharedData.Require("fixtures/transformers/negative_models/tensor_missing"));
        Assert.Equal(2, status);
        Assert.Contains("'model.layers.1.mlp.up_proj.weight': the tensor is missing", output, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync(".", "--tolerance", "no")).Status);
    }
}
