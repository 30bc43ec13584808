using System.Text.Json.Nodes;
using SaeService.Checkpoints;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae verify model</c>, whose output and exit status are the worker's, and <c>sae verify sae</c>.</summary>
public sealed class VerifyTests
{
    private static Task<(int Status, string Output)> RunAsync(params string[] arguments) => SaeAsync(["verify", "model", .. arguments]);

    private static async Task<(int Status, string Output)> SaeAsync(params string[] arguments)
    {
        await using var command = SaeCommand.Start(SaeCommand.NewHome(), arguments);
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

    [Fact]
    public async Task An_autoencoder_is_measured_compared_and_converted()
    {
        var folder = Directory.CreateTempSubdirectory("sae-e2e-").FullName;
        try
        {
            // f = ReLU(x), x̂ = f: the identity where x is not negative.
            SafetensorsWriter.Write(Path.Combine(folder, "sae_weights.safetensors"),
                [F32("W_enc", [2, 2], 1, 0, 0, 1), F32("W_dec", [2, 2], 1, 0, 0, 1), F32("b_enc", [2], 0, 0), F32("b_dec", [2], 0, 0)]);
            await File.WriteAllTextAsync(Path.Combine(folder, "cfg.json"), """{"architecture":"standard","d_in":2,"d_sae":2}""", TestContext.Current.CancellationToken);
            SafetensorsWriter.Write(Path.Combine(folder, "expected.safetensors"),
                [F32("x", [2, 2], 1, 2, 3, -4), F32("codes", [2, 2], 1, 2, 3, 0), F32("reconstruction", [2, 2], 1, 2, 3, 0)]);
            var (status, output) = await SaeAsync("verify", "sae", folder);
            Assert.True(status == 0, output);
            Assert.Contains("SaeLens Standard: d_in 2, d_sae 2", output, StringComparison.Ordinal);
            Assert.Contains("L0 1.50, dead 0.0 % (0)", output, StringComparison.Ordinal);

            SafetensorsWriter.Write(Path.Combine(folder, "expected.safetensors"), [F32("x", [2, 2], 1, 2, 3, -4), F32("reconstruction", [2, 2], 1, 2, 3, -4)]);
            (status, output) = await SaeAsync("verify", "sae", folder, "--json");
            Assert.Equal(1, status);
            var report = JsonNode.Parse(output)!;
            Assert.Equal((1.0, false), (report["tensors"]![0]!["error"]!.GetValue<double>(), report["tensors"]![0]!["passed"]!.GetValue<bool>()));
            Assert.Equal(16.0 / 20, report["fvu"]!.GetValue<double>(), 1e-6); // 16 of (2 + 18)

            (status, output) = await SaeAsync("convert", "sae", folder, "--to", "sparsify", "--out", Path.Combine(folder, "out"));
            Assert.Equal(2, status);
            Assert.Contains("and not a ReLU", output, StringComparison.Ordinal);
            (status, output) = await SaeAsync("convert", "sae", folder, "--to", "openai", "--out", Path.Combine(folder, "out"), "--json");
            Assert.True(status == 0, output);
            var written = JsonNode.Parse(output)!;
            Assert.Equal(("openai", "standard", 2, 2), (written["format"]!.GetValue<string>(), written["architecture"]!.GetValue<string>(), written["d_in"]!.GetValue<int>(), written["d_sae"]!.GetValue<int>()));
            Assert.All(written["files"]!.AsArray(), file => Assert.True(File.Exists(file!.GetValue<string>()), output));
            Assert.Contains("OpenAi Standard", (await SaeAsync("verify", "sae", Path.Combine(folder, "out"), "--activations", Path.Combine(folder, "expected.safetensors"))).Output, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static TensorSource F32(string name, long[] shape, params float[] values) => TensorSource.Of<float>(name, DType.F32, shape, values);
    }
}
