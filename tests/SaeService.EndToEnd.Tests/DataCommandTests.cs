using System.Text.Json;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae data inspect</c>, which needs no service.</summary>
public sealed class DataCommandTests
{
    private const string Good = "# sent_id = s1\n# text = Dogs bark.\n1\tDogs\tdog\tNOUN\t_\tNumber=Plur\t2\tnsubj\t_\t_\n2\tbark\tbark\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n3\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\n\n";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static async Task<(int Status, string Output)> InspectAsync(string content, params string[] options)
    {
        var home = SaeCommand.NewHome();
        var file = Path.Combine(home, "my-train.conllu");
        await File.WriteAllTextAsync(file, content, Ct);
        await using var command = SaeCommand.Start(home, ["data", "inspect", file, .. options]);
        var status = await command.WaitForExitAsync(Ct);
        return (status, command.Output);
    }

    [Fact]
    public async Task It_prints_what_was_understood()
    {
        var (status, output) = await InspectAsync(Good);
        Assert.Equal(0, status);
        foreach (var part in (string[])["conllu, train", "1 sentences, 3 words", "NOUN 1, PUNCT 1, VERB 1", "type baseline", "lemma (3 labels, 3 words)", "position", "Dogs bark.", "nsubj"])
            Assert.Contains(part, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task As_JSON_and_of_tasks_by_name()
    {
        var (status, output) = await InspectAsync(Good, "--json", "--tasks", "feats:Number,capital");
        Assert.Equal(0, status);
        using var json = JsonDocument.Parse(output);
        Assert.Equal("conllu", json.RootElement.GetProperty("format").GetString());
        Assert.Equal(["feats:Number", "capital"], json.RootElement.GetProperty("statistics").GetProperty("tasks").EnumerateArray().Select(t => t.GetProperty("task").GetString()!));
        Assert.Equal(3, json.RootElement.GetProperty("statistics").GetProperty("words").GetInt32());
    }

    [Fact]
    public async Task What_is_malformed_is_named_as_compilers_do()
    {
        Assert.Equal((1, "my-train.conllu:7:7: head 'x' of word 1 is neither another word nor 0"), Trimmed(await InspectAsync(Good + Good.Split('\n')[2].Replace("\t2\t", "\tx\t") + "\n")));
        var (status, output) = await InspectAsync(Good, "--tasks", "mood");
        Assert.Equal(1, status);
        Assert.StartsWith("no word has a label of task 'mood'; there are ", output, StringComparison.Ordinal);
    }

    private static (int, string) Trimmed((int Status, string Output) result) => (result.Status, result.Output.Trim());
}
