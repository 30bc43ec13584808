using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// 95 % intervals of means a word, by resampled test documents. The resamples follow from the number of test documents, of samples, and the seed, so that every
/// task, layer and estimator of a job has the same ones, and differences between any two are paired.
/// </summary>
internal sealed class MeanIntervals
{
    private readonly DocumentBootstrap _bootstrap;
    private readonly double[] _words; // [samples]

    public MeanIntervals(ScoredWords scored, InformationRules rules)
    {
        _bootstrap = new DocumentBootstrap(scored.Documents.Length, rules.BootstrapSamples, rules.Seed);
        _words = _bootstrap.Sums(scored.WordsOf);
    }

    /// <param name="sums">By document.</param>
    public double[] Of(double[] sums)
    {
        var resampled = _bootstrap.Sums(sums);
        for (var i = 0; i < resampled.Length; i++)
            resampled[i] = _words[i] == 0 ? 0 : resampled[i] / _words[i];
        return DocumentBootstrap.Interval(resampled);
    }
}
