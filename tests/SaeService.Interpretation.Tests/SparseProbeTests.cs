using System.Text.Json;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class SparseProbeTests
{
    private static readonly LabelledWords Words = Planted.Words();

    /// <summary>Thirty detectors of parts of the subjects, none of which finds many; and noise.</summary>
    private static readonly Func<int, float>[] Features =
    [
        .. Enumerable.Range(0, 30).Select(n => Planted.Detector(Words, "dep", "nsubj", share: 0.05 + 0.004 * n, otherwise: 0.01, seed: 50 + n)),
        .. Enumerable.Range(0, 30).Select(n => Planted.Noise(0.05, 90 + n)),
    ];

    [Fact]
    public void More_features_detect_more_of_what_is_spread_over_many()
    {
        var codes = Planted.Codes(Words, Features);
        var probes = SparseProbes.Run(codes, Words).Single(p => p is { Task: "dep", Label: "nsubj" }).Probes;
        Assert.Equal([5, 20], probes.Select(p => p.K));
        Assert.Equal([5, 20], probes.Select(p => p.Features.Count));
        Assert.Equal(probes[0].Features, probes[1].Features.Take(5));
        Assert.All(probes[1].Features, f => Assert.True(f < 30));
        var best = FeatureLabeller.Run(codes, Words, new LabelRules { BootstrapSamples = 10 }).Layer.Tasks.Single(t => t.Task == "dep").Labels.Single(l => l.Label == "nsubj").Best!;
        Assert.True(best.F1 + 0.1 < probes[0].F1 && probes[0].F1 + 0.1 < probes[1].F1, $"{best.F1} {probes[0].F1} {probes[1].F1}");
        Assert.True(probes[0].Auroc < probes[1].Auroc);
        Assert.DoesNotContain(SparseProbes.Run(codes, Words), p => p is { Task: "ner", Label: "O" });
    }

    [Fact]
    public void Noise_detects_nothing()
    {
        var probes = SparseProbes.Run(Planted.Codes(Words, Features[30..]), Words).Where(p => p.Task == "dep").SelectMany(p => p.Probes);
        Assert.All(probes, p => Assert.Equal(0.5, p.Auroc, 0.05));
    }

    [Fact]
    public void Threads_change_nothing()
    {
        var codes = Planted.Codes(Words, Features);
        Assert.Equal(JsonSerializer.Serialize(SparseProbes.Run(codes, Words, 1)), JsonSerializer.Serialize(SparseProbes.Run(codes, Words, 5)));
    }

    private const string Script = """
        import json, sys
        import numpy as np
        from scipy.stats import spearmanr
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score
        given = json.load(sys.stdin)
        x, y, train = np.array(given['x']), np.array(given['y']), np.array(given['train'])
        mean = np.abs(x[train & (y == 1)].mean(0) - x[train & (y == 0)].mean(0))
        found = []
        for k in (5, 20):
            chosen = np.argsort(-mean, kind='stable')[:k]
            scaled = x[:, chosen] / x[train][:, chosen].std(0)
            model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10000).fit(scaled[train], y[train])
            score = model.decision_function(scaled)
            p, r, t = precision_recall_curve(y[train], score[train])
            f = 2 * p[:-1] * r[:-1] / np.maximum(p[:-1] + r[:-1], 1e-300)
            threshold = t[np.argmax(f)]
            found.append({'features': chosen.tolist(), 'auroc': roc_auc_score(y[~train], score[~train]), 'f1': f1_score(y[~train], score[~train] >= threshold - 1e-9)})
        json.dump({'probes': found, 'spearman': float(spearmanr(given['a'], given['b']).correlation)}, sys.stdout)
        """;

    [Fact]
    public void Probes_and_rank_correlations_equal_those_of_scikit_learn_and_scipy()
    {
        ScikitLearnTests.Require();
        double[] a = [.. Enumerable.Range(0, 50).Select(n => (double)(n * 37 % 11))], b = [.. Enumerable.Range(0, 50).Select(n => (double)(n * 17 % 13) + n / 10)];
        var x = Enumerable.Range(0, Words.Count).Select(w => Features.Select(f => f(w)).ToArray()).ToArray();
        var y = Enumerable.Range(0, Words.Count).Select(w => Words.Carries("dep", "nsubj", w) ? 1 : 0).ToArray();
        var train = Enumerable.Range(0, Words.Count).Select(w => Words.PartOf(w) == Part.Train).ToArray();
        var golden = JsonDocument.Parse(ScikitLearnTests.Run(Script, JsonSerializer.Serialize(new { x, y, train, a, b }))!).RootElement;
        Assert.Equal(golden.GetProperty("spearman").GetDouble(), RankCorrelation.Spearman(a, b), 12);
        var probes = SparseProbes.Run(Planted.Codes(Words, Features), Words).Single(p => p is { Task: "dep", Label: "nsubj" }).Probes;
        foreach (var (ours, theirs) in probes.Zip(golden.GetProperty("probes").EnumerateArray()))
        {
            Assert.Equal(theirs.GetProperty("features").EnumerateArray().Select(f => f.GetInt32()), ours.Features);
            Assert.Equal(theirs.GetProperty("auroc").GetDouble(), ours.Auroc, 1e-4);
            Assert.Equal(theirs.GetProperty("f1").GetDouble(), ours.F1, 5e-3);
        }
    }
}
