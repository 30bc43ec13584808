using SaeService.Contracts;
using SaeService.Figures.Data;
using Xunit;

namespace SaeService.Figures.Tests;

/// <summary>That figures show what documents say.</summary>
public sealed class DataTests
{
    private static readonly LayerFunctionalityDocument s_document = Documents.Of();

    [Theory]
    [InlineData("excess_f1")]
    [InlineData("information")]
    [InlineData("count")]
    public void A_heatmap_has_the_cells_of_the_document_early_labels_first(string value)
    {
        var panel = Heatmap.Of(s_document, "dep", value)!.Panels.Single();
        var centres = panel.Y.Categories!.Select(label => s_document.Tasks[1].Profiles.Single(p => p.Label == label).CentreOfGravity!.Value).ToList();
        Assert.Equal(centres.Order(), centres);
        for (var r = 0; r < panel.Y.Categories!.Count; r++)
            for (var c = 0; c < s_document.Layers.Count; c++)
            {
                var cell = s_document.Layers[c].Cells.Single(x => x.Task == "dep" && x.Label == panel.Y.Categories[r]);
                Assert.Equal(value switch { "information" => cell.Normalised, "count" => cell.FeatureCount, _ => cell.Excess }, panel.Grid!.Values[r][c]);
                Assert.Equal(cell.Status.ToString(), panel.Grid.States[r][c].ToString());
                Assert.Equal(cell.Support, panel.Grid.N![r][c]);
            }
    }

    [Fact]
    public void A_change_is_from_the_layer_before_on_a_scale_that_parts_at_nothing()
    {
        var panel = Heatmap.Of(s_document, "pos", "change")!.Panels.Single();
        var scores = s_document.Tasks[0].Profiles.Single(p => p.Label == panel.Y.Categories![0]).Score;
        Assert.Null(panel.Grid!.Values[0][0]);
        Assert.Equal(scores[2] - scores[1], panel.Grid.Values[0][2]);
        Assert.True(panel.Grid.Scale.Diverging);
        Assert.Equal(-panel.Grid.Scale.Min, panel.Grid.Scale.Max);
        Assert.Throws<ArgumentException>(() => Heatmap.Of(s_document, "pos", "beauty"));
    }

    [Fact]
    public void Nothing_established_is_said_and_a_task_that_is_not_there_is_no_figure()
    {
        Assert.Contains("0 of 24 cells are established.", Heatmap.Of(Documents.Of(established: false), "pos")!.Alt, StringComparison.Ordinal);
        Assert.Null(Heatmap.Of(s_document, "mood"));
        Assert.Null(InformationCurves.Of(s_document, "pos", next: true));
        Assert.Null(DepthPlot.Of(Documents.Of(layers: 1), "pos"));
        Assert.Null(ProfileSimilarity.Of(Documents.Of(layers: 1), "pos"));
        Assert.Null(Catalogue.Find(s_document, "heatmap-mood"));
        Assert.Equal("heatmap-dep", Catalogue.Find(s_document, "heatmap-dep")!.Name);
    }

    [Fact]
    public void Of_many_labels_the_most_frequent_are_drawn_and_the_caption_says_so()
    {
        var figure = Heatmap.Of(Documents.Of(labels: 90), "pos")!;
        Assert.Equal(60, figure.Panels.Single().Y.Categories!.Count);
        Assert.DoesNotContain("POS89", figure.Panels.Single().Y.Categories!);
        Assert.Contains("the 60 most frequent of 90 labels", figure.Caption, StringComparison.Ordinal);
    }

    [Fact]
    public void Curves_are_shares_of_the_entropy_with_intervals_and_n()
    {
        var series = InformationCurves.Of(s_document, "pos")!.Panels.Single().Series;
        var (trained, layer) = (series.Single(s => s.Name == "trained model"), s_document.Tasks[0].Layers[2]);
        Assert.Equal(layer.Normalised, trained.Y[2]!.Value, 12);
        Assert.Equal(layer.IvBits.Ci95[0] / 3, trained.Low![2]!.Value, 12);
        Assert.Equal(700, trained.N![2]);
        Assert.Equal(0.5, series.Single(s => s.Name == "word forms alone").Y[0]!.Value, 12);
        Assert.Equal(0.4, series.Single(s => s.Name == "untrained model").Y[0]!.Value, 12);
    }

    [Fact]
    public void Histograms_are_shares_of_the_features_and_seeds_are_put_together()
    {
        var series = ConsistencyHistograms.Of(s_document, "pos")!.Panels[1].Series;
        Assert.Equal(["autoencoder", "random directions", "PCA"], series.Select(s => s.Name));
        Assert.All(series, s => Assert.Equal(1, s.Y.Sum()!.Value, 9));
        Assert.Equal(s_document.Layers[1].Dictionaries[2].Tasks[0].ConsistencyHistogram, series[2].N);
    }

    [Fact]
    public void Similarity_is_the_correlation_of_layers_over_labels()
    {
        var grid = ProfileSimilarity.Of(s_document, "pos")!.Panels[1].Grid!;
        Assert.All(Enumerable.Range(0, 4), l => Assert.Equal(1, grid.Values[l][l]!.Value, 9));
        Assert.Equal(grid.Values[0][3], grid.Values[3][0]);
        double[] a = [.. s_document.Tasks[0].Profiles.Select(p => p.Information[0])], b = [.. s_document.Tasks[0].Profiles.Select(p => p.Information[3])];
        var covariance = a.Zip(b, (x, y) => (x - a.Average()) * (y - b.Average())).Sum();
        Assert.Equal(covariance / Math.Sqrt(a.Sum(x => Math.Pow(x - a.Average(), 2)) * b.Sum(y => Math.Pow(y - b.Average(), 2))), grid.Values[0][3]!.Value, 9);
    }

    [Fact]
    public void Aliases_are_marked_where_both_labels_stand()
    {
        var panel = AliasMatrix.Of(s_document)!.Panels.Single();
        Assert.Equal(["POS0", "POS1"], panel.Y.Categories!);
        Assert.Equal(["DEP0", "DEP1"], panel.X.Categories!);
        Assert.Equal(new double?[] { 1, null, null, 1 }, panel.Grid!.Values.SelectMany(row => row));
    }

    [Theory]
    [InlineData(30)]
    [InlineData(500)]
    public void The_curve_is_where_wilsons_bound_is_what_is_asked_for(int n)
    {
        const double Z = 1.959963984540054, Lower = 0.8;
        var p = SupportScatter.Needed(n, Lower)!.Value;
        // Wilson's interval has the ends at which the score test just rejects: (p - p0)² = z² p0 (1 - p0) / n.
        Assert.Equal(Z * Z * Lower * (1 - Lower) / n, (p - Lower) * (p - Lower), 9);
        Assert.True(p > Lower);
        Assert.Null(SupportScatter.Needed(10, Lower)); // even ten of ten say less than that
    }

    [Fact]
    public void Labels_are_stacked_up_to_the_histogram_and_the_rest_is_put_together()
    {
        var byLabel = new LabelHistogram("pos", [new("NOUN", [30, 10, 5, 1]), new("VERB", [10, 10, 0, 0])], [10, 0, 2, 0]);
        var figure = FeatureCard.Of(Documents.Feature with { LabelHistograms = [byLabel] }, "tiny.")!;
        var series = figure.Panels.Single().Series;
        Assert.Equal(["NOUN", "VERB", "other labels"], series.Select(s => s.Name));
        Assert.Equal([50.0, 20, 7, 1], series[^1].Y.Select(y => y!.Value));
        Assert.Equal(series[0].Y.Select(y => y!.Value), series[1].Base!);
        Assert.Equal([10, 0, 2, 0], series[2].N!);
        Assert.Contains("n = 78 words", figure.Caption, StringComparison.Ordinal);
        Assert.Null(FeatureCard.Of(Documents.Feature with { Histogram = new ActivationHistogram([], []) }, "tiny."));
    }

    [Fact]
    public void Points_beyond_what_is_drawn_are_told_of()
    {
        var figure = SupportScatter.Of("tiny.", "pos", 1, Documents.Points(100), 5000, new LabelSettings { ConsistencyLower = 0.8 })!;
        Assert.Contains("n = 100 of 5,000 features", figure.Caption, StringComparison.Ordinal);
        Assert.Equal(100, figure.Panels.Single().Series.Where(s => s.Mark == Mark.Points).Sum(s => s.X.Count));
    }
}
