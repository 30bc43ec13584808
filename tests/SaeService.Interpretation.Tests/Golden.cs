using System.Text.Json;
using SaeService.TestSupport;

namespace SaeService.Interpretation.Tests;

/// <summary>Values computed with scikit-learn and scipy, and Tenney et al.'s published curves.</summary>
internal static class Golden
{
    public static JsonElement Linguistics { get; } = JsonDocument.Parse(File.ReadAllBytes(
        Path.Combine(SharedData.RepositoryRoot, "tests", "SaeService.Interpretation.Tests", "fixtures", "linguistics_golden.json"))).RootElement;

    public static double[] Numbers(this JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetDouble())];
}
