using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>One label by depth (method 1c): where its score lies, whether it lies anywhere in particular, and which layers hold the peak.</summary>
internal static class Profiles
{
    /// <summary>Concentration from which a centre of gravity says something, bits. Below it, only a narrow interval does.</summary>
    private const double LeastConcentration = 0.05;

    /// <summary>Widest interval that is narrow, as a share of the depth.</summary>
    private const double NarrowInterval = 0.25;

    /// <summary>Information, as a share of the label's entropy, that context must add for an expected layer to mean anything.</summary>
    private const double LeastHeadroom = 0.02;

    /// <summary>Share of the best score from which a label is there.</summary>
    private const double OnsetShare = 0.9;

    /// <param name="layers">Layers asked for, ascending.</param>
    /// <param name="information">I_V(1[y]) / H(1[y]) by layer.</param>
    /// <param name="depth">Number of blocks of the model, so that the highest layer there is.</param>
    public static LabelProfile Build(string label, IReadOnlyList<string> aliases, LabelScores scores, int[] layers, InformationByDepth information,
        int depth, int samples) => new()
        {
            Label = label,
            Aliases = aliases,
            Score = scores.Score,
            Information = information.Value,
            CentreOfGravity = Centre(scores, layers, depth, samples),
            ExpectedLayerPerLayer = Expected(information, layers),
            PeakSet = [.. scores.PeakSet().Select(position => layers[position])],
            InformationPeakSet = [.. information.PeakSet().Select(position => layers[position])],
            Onset = Onset(scores.Score, layers),
        };

    private static CentreOfGravity? Centre(LabelScores scores, int[] layers, int depth, int samples)
    {
        var score = scores.Score;
        if (layers.Length < 2 || score.All(s => s == 0))
            return null;
        var resampled = Enumerable.Range(0, samples).Select(b => DepthProfile.CentreOfGravity(scores.ScoreSample(b), layers)).Where(double.IsFinite).ToArray();
        if (resampled.Length == 0)
            return null;
        var value = DepthProfile.CentreOfGravity(score, layers);
        var interval = DocumentBootstrap.Interval(resampled);
        var concentration = DepthProfile.ConcentrationBits(score);
        // Where resamples lose the label altogether, nothing can be said of its place.
        var stable = resampled.Length >= 0.95 * samples;
        var localised = stable && (concentration >= LeastConcentration || interval[1] - interval[0] < NarrowInterval * depth);
        return new CentreOfGravity(value, value / depth, interval, concentration, localised);
    }

    private static int? Onset(double[] score, int[] layers)
    {
        var most = score.Max();
        return most <= 0 ? null : layers[Array.FindIndex(score, s => s >= OnsetShare * most)];
    }

    private static ExpectedLayer? Expected(InformationByDepth by, int[] layers)
    {
        // Defined from the embedding up, without gaps.
        if (layers.Length < 2 || layers[0] != 0 || layers[^1] != layers.Length - 1)
            return null;
        var information = by.Value;
        var headroom = DepthProfile.Headroom(information);
        if (headroom < LeastHeadroom)
            return null;
        var intervals = by.ExpectedLayer(layers);
        double? signed = information[^1] - information[0] < LeastHeadroom ? null : DepthProfile.ExpectedLayer(information, layers);
        return new ExpectedLayer(signed, DepthProfile.ExpectedLayer(DepthProfile.RunningMaximum(information), layers), headroom,
            signed is null ? null : intervals.Signed, intervals.RunningMax, DepthProfile.ConcentrationOfGainsBits(information));
    }
}
