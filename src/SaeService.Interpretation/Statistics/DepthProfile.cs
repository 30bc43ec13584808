namespace SaeService.Interpretation.Statistics;

/// <summary>Where along the layers a score lives (method 1c; Tenney et al. 2019).</summary>
public static class DepthProfile
{
    /// <summary>Σ layer · s with s the scores normalised to 1; NaN where all are 0. Scores must not be negative.</summary>
    /// <param name="layers">Position of each score; the scores' own indices where the layers are 0, 1, 2 …</param>
    public static double CentreOfGravity(ReadOnlySpan<double> scores, ReadOnlySpan<int> layers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(layers.Length, scores.Length);
        double sum = 0, weighted = 0;
        for (var i = 0; i < scores.Length; i++)
        {
            sum += scores[i];
            weighted += layers[i] * scores[i];
        }
        return weighted / sum;
    }

    /// <summary>KL(s ‖ uniform) in bits: 0 for a flat profile, log2(n) for a single layer; NaN where all scores are 0.</summary>
    public static double ConcentrationBits(ReadOnlySpan<double> scores)
    {
        var sum = 0.0;
        foreach (var score in scores)
            sum += score;
        var bits = 0.0;
        foreach (var score in scores)
            if (score > 0)
                bits += score / sum * Math.Log2(scores.Length * score / sum);
        return sum == 0 ? double.NaN : Math.Max(0, bits);
    }

    /// <summary>E_Δ = Σ layer Δ / Σ Δ with Δ = score - score before, over all but the first; NaN where the scores end where they began.</summary>
    /// <remarks>Signed, it can leave the range of layers when the headroom is small: 23.9 of 12 for DPR on BERT-base.</remarks>
    public static double ExpectedLayer(ReadOnlySpan<double> cumulative, ReadOnlySpan<int> layers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(layers.Length, cumulative.Length);
        double sum = 0, weighted = 0;
        for (var i = 1; i < cumulative.Length; i++)
        {
            var delta = cumulative[i] - cumulative[i - 1];
            sum += delta;
            weighted += layers[i] * delta;
        }
        return weighted / sum;
    }

    /// <summary>KL of the positive Δ from uniform over all layers but the first, bits.</summary>
    public static double ConcentrationOfGainsBits(ReadOnlySpan<double> cumulative)
    {
        var gains = new double[cumulative.Length - 1];
        for (var i = 1; i < cumulative.Length; i++)
            gains[i - 1] = Math.Max(0, cumulative[i] - cumulative[i - 1]);
        return ConcentrationBits(gains);
    }

    /// <summary>The largest score minus the first: what there is to gain above the lowest layer.</summary>
    public static double Headroom(ReadOnlySpan<double> scores)
    {
        var most = scores[0];
        foreach (var score in scores)
            most = Math.Max(most, score);
        return most - scores[0];
    }

    public static double[] RunningMaximum(ReadOnlySpan<double> scores)
    {
        var running = scores.ToArray();
        for (var i = 1; i < running.Length; i++)
            running[i] = Math.Max(running[i], running[i - 1]);
        return running;
    }
}
