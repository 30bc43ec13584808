using System.CommandLine;
using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;

namespace SaeService.Cli;

/// <summary>
/// <c>sae convert sae DIR --to FORMAT --out DIR</c>: an autoencoder in another project's layout.
/// Exits with 2 where it can not be read, or that layout can not hold it.
/// </summary>
internal static class ConvertCommands
{
    private static readonly Dictionary<string, SaeFormat> s_formats = new()
    {
        ["saelens"] = SaeFormat.SaeLens,
        ["sparsify"] = SaeFormat.Sparsify,
        ["dictionary_learning"] = SaeFormat.DictionaryLearning,
        ["openai"] = SaeFormat.OpenAi,
    };

    public static Command Create()
    {
        var folder = new Argument<string>("DIR") { Description = "Folder of an autoencoder: SAELens, sparsify, dictionary_learning or OpenAI." };
        var to = new Option<string>("--to") { Description = string.Join(", ", s_formats.Keys), Required = true };
        to.AcceptOnlyFromAmong([.. s_formats.Keys]);
        var output = new Option<string>("--out") { Description = "Folder that is written; made where it is not there.", HelpName = "DIR", Required = true };
        var model = new Option<string>("--model") { Description = "Name of the language model, for the configuration.", DefaultValueFactory = _ => "unknown" };
        var hook = new Option<string>("--hook")
        {
            Description = "Its hook point in TransformerLens' words, for the configuration.",
            DefaultValueFactory = _ => "unknown",
        };
        var json = new Option<bool>("--json") { Description = "Print one JSON object: what was written, and its files." };
        var sae = new Command("sae", "Writes an autoencoder in another layout: the same parameters, bit for bit, where that layout has all its parts.")
        {
            folder, to, output, model, hook, json,
        };
        sae.SetAction(parsed =>
        {
            try
            {
                var source = new SaeSource(parsed.GetValue(model)!, parsed.GetValue(hook)!, "unknown", 0, PrependBos: true);
                var loaded = SaeFolder.Load(parsed.GetRequiredValue(folder));
                SaeFolder.Save(loaded, s_formats[parsed.GetRequiredValue(to)], parsed.GetRequiredValue(output), source);
                if (parsed.GetValue(json))
                {
                    var written = SaeFolder.Describe(parsed.GetRequiredValue(output));
                    Console.WriteLine(JsonSerializer.Serialize(new { Format = parsed.GetValue(to), written.Architecture, written.DIn, written.DSae, written.K, Files = written.Files.Select(Path.GetFullPath) }, Wire.IndentedJson));
                }
                return 0;
            }
            catch (Exception e) when (e is CheckpointException or NotSupportedException or IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine(e.Message);
                return 2;
            }
        });
        return new Command("convert", "Writes what is here in another project's layout") { sae };
    }
}
