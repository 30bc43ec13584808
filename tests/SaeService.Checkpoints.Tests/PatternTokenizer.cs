using System.Text.Json;

namespace SaeService.Checkpoints.Tests;

/// <summary>A tokenizer of which every match of a pattern is one token, so that its offsets are the matches.</summary>
internal static class PatternTokenizer
{
    public static Tokenizer Of(string pattern)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), JsonSerializer.Serialize(new
        {
            pre_tokenizer = new { type = "Split", pattern = new { Regex = pattern }, behavior = "Removed", invert = true },
            model = new { type = "WordLevel", vocab = new Dictionary<string, int> { ["?"] = 0 }, unk_token = "?" },
        }));
        return Tokenizer.Load(folder.Path);
    }
}
