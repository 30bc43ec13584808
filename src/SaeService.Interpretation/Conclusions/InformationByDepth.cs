using SaeService.Contracts;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>
/// Held-out information by layer, and in each resample of the test documents. Layers share the resamples, so a difference between two layers is judged in
/// pairs: the same documents are hard or easy for both.
/// </summary>
internal sealed class InformationByDepth
{
    private readonly double[][] _samples; // [layers][samples]

    private InformationByDepth(double[] value, double[][] samples) => (Value, _samples) = (value, samples);

    /// <summary>By layer.</summary>
    public double[] Value { get; }

    /// <summary>Bits a word.</summary>
    public static InformationByDepth OfTask(IReadOnlyList<TaskInformation> layers, DocumentBootstrap documents) => new(
        [.. layers.Select(l => l.Layer.IvBits.Value)],
        [.. layers.Select(l => documents.Ratios([.. l.MarginalBits.Zip(l.LayerBits, (marginal, layer) => marginal - layer)], Array.ConvertAll(l.Words, w => (double)w)))]);

    /// <summary>Shares of the label's own code, I_V(1[y]) / H(1[y]); 0 where it has no scored words.</summary>
    public static InformationByDepth OfLabel(IReadOnlyList<TaskInformation> layers, string label, DocumentBootstrap documents)
    {
        var of = layers.Select(l => l.PerLabel.FirstOrDefault(p => p.Label == label)).ToArray();
        return new(
            [.. layers.Select(l => l.Layer.PerLabel.FirstOrDefault(p => p.Label == label)?.Normalised ?? 0)],
            [.. of.Select(l => l is null ? new double[documents.Samples]
                : Array.ConvertAll(documents.Ratios(l.LayerBits, l.MarginalBits, undefined: 1), left => 1 - left))]);
    }

    /// <summary>This layer's minus the one before; null for the first.</summary>
    public Estimate? Change(int position) => position == 0 ? null
        : new(Value[position] - Value[position - 1], DocumentBootstrap.Interval([.. _samples[position].Zip(_samples[position - 1], (here, before) => here - before)]));

    public IEnumerable<int> PeakSet() => PeakSets.Of(Value, _samples);

    /// <summary>95 % intervals of the expected layer as it is and of the running maximum; resamples that gain nothing are left out.</summary>
    public (double[]? Signed, double[]? RunningMax) ExpectedLayer(int[] layers)
    {
        double[] signed = new double[_samples[0].Length], running = new double[signed.Length];
        for (var sample = 0; sample < signed.Length; sample++)
        {
            var information = Array.ConvertAll(_samples, layer => layer[sample]);
            signed[sample] = DepthProfile.ExpectedLayer(information, layers);
            running[sample] = DepthProfile.ExpectedLayer(DepthProfile.RunningMaximum(information), layers);
        }
        return (Interval(signed), Interval(running));

        static double[]? Interval(double[] samples) => Array.FindAll(samples, double.IsFinite) is { Length: > 0 } finite ? DocumentBootstrap.Interval(finite) : null;
    }
}

internal static class PeakSets
{
    /// <summary>Positions that are not significantly below the best, ascending, by paired samples. Empty where nothing is above 0.</summary>
    /// <param name="samples">[positions][samples]</param>
    public static IEnumerable<int> Of(double[] value, double[][] samples)
    {
        var best = Array.IndexOf(value, value.Max());
        if (value[best] <= 0)
            yield break;
        for (var position = 0; position < value.Length; position++)
            if (position == best || DocumentBootstrap.Interval([.. samples[best].Zip(samples[position], (most, here) => most - here)])[0] <= 0)
                yield return position;
    }
}
