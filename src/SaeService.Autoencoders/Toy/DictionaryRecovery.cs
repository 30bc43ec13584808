namespace SaeService.Autoencoders.Toy;

/// <summary>How much of a true dictionary is in a learned one.</summary>
/// <param name="Mmcs">
/// Mean over true features of the largest (signed) cosine to a learned one: "mean max cosine similarity" of Sharkey et al. 2022. It grows with the learned
/// dictionary, also with one of random directions.
/// </param>
/// <param name="Mcc">
/// Mean |cosine| of the pairs of the best one-to-one assignment: the "mean correlation coefficient" of O'Neill et al. 2024 (arXiv 2411.13117). Over as many
/// pairs as the smaller dictionary has features.
/// </param>
/// <param name="Uniqueness">
/// Share of learned features whose nearest true feature, by |cosine|, is no other one's: distinct ones over all (SynthSAEBench).
/// </param>
/// <param name="Nearest">[n]: that true feature.</param>
public sealed record DictionaryRecovery(double Mmcs, double Mcc, double Uniqueness, IReadOnlyList<int> Nearest)
{
    /// <param name="truth">Directions of the true features. A row of zeros has a cosine of 0 to everything.</param>
    /// <param name="features">How many: G.</param>
    /// <param name="learned">Directions of the learned ones.</param>
    /// <param name="latents">How many: n.</param>
    public static DictionaryRecovery Compare(Func<int, ReadOnlySpan<float>> truth, int features, Func<int, ReadOnlySpan<float>> learned, int latents)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(features, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(latents, 1);
        var units = Enumerable.Range(0, latents).Select(l => DoubleVectors.Unit(learned(l))).ToArray();   // [n][d]
        var cost = new double[(long)features * latents];                                                   // [G, n], 1 - |cosine|
        var nearest = new int[latents];
        var closest = new double[latents];
        Array.Fill(closest, -1);
        var sum = 0.0;
        for (var f = 0; f < features; f++)
        {
            var direction = DoubleVectors.Unit(truth(f));
            var largest = -1.0;
            for (var l = 0; l < latents; l++)
            {
                var cosine = DoubleVectors.Dot(direction, units[l]);
                largest = Math.Max(largest, cosine);
                if (Math.Abs(cosine) > closest[l])
                    (closest[l], nearest[l]) = (Math.Abs(cosine), f);
                cost[f * latents + l] = 1 - Math.Abs(cosine);
            }
            sum += largest;
        }
        var pairs = Assignment.Solve(cost, features, latents);
        var matched = 0.0;
        for (var f = 0; f < features; f++)
            if (pairs[f] >= 0)
                matched += 1 - cost[f * latents + pairs[f]];
        return new(sum / features, matched / Math.Min(features, latents), (double)nearest.Distinct().Count() / latents, nearest);
    }
}
