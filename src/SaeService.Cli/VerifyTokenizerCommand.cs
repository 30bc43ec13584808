using System.CommandLine;
using System.Text.Json;
using SaeService.Checkpoints;

namespace SaeService.Cli;

/// <summary>
/// <c>sae verify tokenizer DIR</c>: whether a folder's tokenizer says what the encodings beside it say. Exits with 0 where all strings are equal, 1 where one
/// differs, 2 where the folder cannot be used.
/// </summary>
internal static class VerifyTokenizerCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("DIR") { Description = $"Folder with a tokenizer and its {TokenizerVerification.FileName}." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("tokenizer", "Compares a tokenizer's ids, offsets and decoded text with a reference.") { folder, json };
        command.SetAction(parsed => Run(parsed.GetRequiredValue(folder), parsed.GetValue(json)));
        return command;
    }

    private static int Run(string folder, bool json)
    {
        TokenizerVerification report;
        try
        {
            report = TokenizerVerification.Run(folder);
        }
        catch (CheckpointException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        if (json)
            Console.WriteLine(JsonSerializer.Serialize(report, JsonSerializerOptions.Web));
        else
        {
            foreach (var difference in report.Differences)
                Console.WriteLine($"line {difference.Line} \"{difference.Text}\": {difference.What} should be {difference.Expected}, are {difference.Got}");
            Console.WriteLine($"{report.Equal} of {report.Strings} strings equal");
        }
        return report.Equal == report.Strings ? 0 : 1;
    }
}
