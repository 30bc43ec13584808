using System.Globalization;
using System.Text.Json;
using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <summary>
/// The statistics against values that others computed: scikit-learn and scipy for tables, tails and estimators, Tenney et al. (2019) for their own curves. One
/// check a statistic: the greatest error over all its values, relative to the value or to 1e-15, whichever is more.
/// </summary>
public static class GoldenStatistics
{
    private const double Exact = 1e-10;

    /// <summary>All golden values, as linguistics_golden.json has them.</summary>
    public static JsonElement Values { get; } = Read();

    public static IEnumerable<TruthCheck> Checks() =>
        [.. Tables(), .. Information(), Judge("Benjamini-Hochberg", Discoveries()), Judge("digamma", Digamma()), Ross(), .. ExpectedLayers(), .. CentresOfGravity()];

    private static IEnumerable<TruthCheck> Tables()
    {
        var errors = new Dictionary<string, double>();
        foreach (var golden in Values.GetProperty("feature_label_2x2").EnumerateArray())
        {
            double Of(string name) => golden.GetProperty(name).GetDouble();
            void Compare(string name, double expected, double found) => errors[name] = Math.Max(errors.GetValueOrDefault(name), Error(expected, found));
            var table = new Contingency((int)Of("hits"), (int)Of("active"), (int)Of("label_count"), (int)Of("N"));
            Compare("precision", Of("precision"), table.Precision);
            Compare("recall", Of("recall"), table.Recall);
            Compare("F1", Of("f1"), table.F1);
            Compare("base rate", Of("base_rate"), table.BaseRate);
            Compare("lift", Of("lift"), table.Lift);
            Compare("MCC", Of("mcc"), table.Mcc);
            Compare("kappa", Of("kappa_purity"), table.Kappa);
            Compare("information of a feature and a label", Of("mi_bits"), table.MutualInformationBits);
            var wilson = Numbers(golden.GetProperty("wilson95"));
            Compare("Wilson's interval", wilson[0], table.Wilson.Low);
            Compare("Wilson's interval", wilson[1], table.Wilson.High);
            int[] cells = [table.Hits, table.Active - table.Hits, table.Labelled - table.Hits, table.Total - table.Active - table.Labelled + table.Hits];
            Compare("G", Of("g_statistic"), DiscreteInformation.GTest(cells, 2, 2).G);
            // Sums of thousands of logarithms: a digit less.
            Compare("hypergeometric tail", Of("log10_p_hypergeom_upper"), table.Log10P);
        }
        return errors.Select(e => TruthCheck.AtMost($"golden {e.Key}: relative error", e.Value, e.Key == "hypergeometric tail" ? 10 * Exact : Exact));
    }

    private static IEnumerable<TruthCheck> Information()
    {
        var golden = Values.GetProperty("discrete_mi");
        var a = golden.GetProperty("a").EnumerateArray().Select(e => e.GetInt32()).ToArray();
        var b = golden.GetProperty("b").EnumerateArray().Select(e => "NVD".IndexOf(e.GetString()!, StringComparison.Ordinal)).ToArray();
        var table = new int[2 * 3];
        for (var i = 0; i < a.Length; i++)
            table[a[i] * 3 + b[i]]++;
        double Of(string name) => golden.GetProperty(name).GetDouble();
        yield return Judge("information of a table", [(Of("mi_bits"), DiscreteInformation.MutualInformationBits(table, 2, 3))]);
        yield return Judge("Miller-Madow", [(Of("miller_madow_mi_nats"), Nats(DiscreteInformation.MillerMadowBits(table, 2, 3)))]);
        yield return Judge("expected information under permutation",
            [(Of("expected_mi_nats_hypergeometric"), Nats(DiscreteInformation.ExpectedMutualInformationBits([6, 4], [4, 4, 2])))]);
        yield return Judge("adjusted and normalised information",
        [
            (Of("ami_arithmetic"), DiscreteInformation.AdjustedMutualInformation(table, 2, 3)),
            (Of("ami_max"), DiscreteInformation.AdjustedMutualInformation(table, 2, 3, max: true)),
            (Of("nmi_arithmetic"), DiscreteInformation.NormalisedMutualInformation(table, 2, 3)),
        ]);
        yield return Judge("entropy",
            [(Of("h_a_nats"), Nats(DiscreteInformation.EntropyBits([6, 4]))), (Of("h_b_nats"), Nats(DiscreteInformation.EntropyBits([4, 4, 2])))]);

        static double Nats(double bits) => bits * Math.Log(2);
    }

    private static IEnumerable<(double, double)> Discoveries()
    {
        var golden = Values.GetProperty("benjamini_hochberg");
        double[] p = Numbers(golden.GetProperty("p")), q = Numbers(golden.GetProperty("q"));
        int[] order = [3, 9, 0, 5, 1, 8, 2, 7, 4, 6];
        var found = MultipleTests.BenjaminiHochberg(Array.ConvertAll(order, i => Math.Log10(p[i])));
        return order.Select((i, n) => (q[i], found[n]));
    }

    private static IEnumerable<(double, double)> Digamma() => Values.GetProperty("digamma").EnumerateObject()
        .Select(golden => (golden.Value.GetDouble(), SpecialFunctions.Digamma(double.Parse(golden.Name, CultureInfo.InvariantCulture))));

    private static TruthCheck Ross()
    {
        var x = Enumerable.Range(0, 60).Select(i => i * 7919 % 1000 / 1000.0 + i % 3 * 0.35).ToArray();
        var y = Enumerable.Range(0, 60).Select(i => i % 3).ToArray();
        var worst = Values.GetProperty("ross2014").GetProperty("mi_nats").EnumerateObject().Max(golden =>
            Math.Abs(golden.Value.GetDouble() - NearestNeighbourInformation.Nats(x, y, int.Parse(golden.Name, CultureInfo.InvariantCulture))));
        return TruthCheck.AtMost("golden Ross estimator: error, nats", worst, 1e-9);
    }

    private static IEnumerable<TruthCheck> ExpectedLayers()
    {
        double signed = 0, running = 0, concentration = 0, headroom = 0;
        foreach (var model in Values.GetProperty("tenney2019_dev_cumulative_scores").GetProperty("tasks").EnumerateObject().SelectMany(t => t.Value.EnumerateObject()))
        {
            var curve = Numbers(model.Value.GetProperty("cumulative_f1_layer0_to_L"));
            int[] layers = [.. Enumerable.Range(0, curve.Length)];
            double Off(string name, double found) => Math.Abs(model.Value.GetProperty(name).GetDouble() - found);
            signed = Math.Max(signed, Off("expected_layer_signed", DepthProfile.ExpectedLayer(curve, layers)));
            running = Math.Max(running, Off("expected_layer_running_max", DepthProfile.ExpectedLayer(DepthProfile.RunningMaximum(curve), layers)));
            concentration = Math.Max(concentration, Off("kl_uniform_bits_of_positive_deltas", DepthProfile.ConcentrationOfGainsBits(curve)));
            headroom = Math.Max(headroom, Off("contextual_headroom", DepthProfile.Headroom(curve)));
        }
        // The curves are printed to four places; the signed ratio of a task that hardly gains magnifies that.
        yield return TruthCheck.AtMost("Tenney's curves, signed expected layer: error", signed, 5e-3);
        yield return TruthCheck.AtMost("Tenney's curves, expected layer of the running maximum: error", running, 1e-3);
        yield return TruthCheck.AtMost("Tenney's curves, concentration of the gains: error, bits", concentration, 1e-3);
        yield return TruthCheck.AtMost("Tenney's curves, headroom: error", headroom, 1e-3);
    }

    private static IEnumerable<TruthCheck> CentresOfGravity()
    {
        double centre = 0, concentration = 0;
        foreach (var task in Values.GetProperty("tenney2019_bert_large_scalar_mix").EnumerateObject().Where(t => t.Value.ValueKind == JsonValueKind.Object))
        {
            var weights = Numbers(task.Value.GetProperty("weights_layer0_to_24"));
            centre = Math.Max(centre, Math.Abs(task.Value.GetProperty("center_of_gravity").GetDouble()
                - DepthProfile.CentreOfGravity(weights, [.. Enumerable.Range(0, weights.Length)])));
            concentration = Math.Max(concentration, Math.Abs(task.Value.GetProperty("kl_uniform_bits").GetDouble() - DepthProfile.ConcentrationBits(weights)));
        }
        yield return TruthCheck.AtMost("Tenney's mixing weights, centre of gravity: error, layers", centre, 1e-3);
        yield return TruthCheck.AtMost("Tenney's mixing weights, concentration: error, bits", concentration, 1e-3);
    }

    private static TruthCheck Judge(string name, IEnumerable<(double Expected, double Found)> values) =>
        TruthCheck.AtMost($"golden {name}: relative error", values.Max(v => Error(v.Expected, v.Found)), Exact);

    private static double Error(double expected, double found) =>
        expected.Equals(found) ? 0 : Math.Abs(expected - found) / Math.Max(Math.Abs(expected), 1e-15 / Exact);

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetDouble())];

    private static JsonElement Read()
    {
        using var stream = typeof(GoldenStatistics).Assembly.GetManifestResourceStream("linguistics_golden.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }
}
