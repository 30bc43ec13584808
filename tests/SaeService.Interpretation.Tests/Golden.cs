using System.Text.Json;
using SaeService.Interpretation.Truth;

namespace SaeService.Interpretation.Tests;

/// <summary>Values computed with scikit-learn and scipy, and Tenney et al.'s published curves.</summary>
internal static class Golden
{
    public static JsonElement Linguistics => GoldenStatistics.Values;

    public static double[] Numbers(this JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetDouble())];
}
