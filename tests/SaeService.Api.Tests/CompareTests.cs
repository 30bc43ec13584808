using System.Net;
using SaeService.Api.Results;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class CompareTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private const int Documents = 40;
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Layers with one cell each; a score of 0 is a cell without features.</summary>
    private static LayerFunctionalityDocument Make(LayerFunctionalityDocument document, double[] scores, int depth = 2, string split = "00", double[]? centre = null, double bits = 1)
    {
        CentreOfGravity? gravity = centre is null ? null : new(centre[0], centre[0] / depth, [centre[1], centre[2]], 0.5, true);
        return document with
        {
            Provenance = document.Provenance with
            {
                Model = document.Provenance.Model with { Layers = depth },
                Data = document.Provenance.Data with { SplitSha256 = split, Files = [new FileHash("a", 1, "aa")] },
            },
            Tasks = [document.Tasks[0] with
            {
                Layers = [.. scores.Select((_, layer) => new LayerInformation
                {
                    Layer = layer, IvBits = new InformationEstimate(bits, [bits - 0.3, bits + 0.4], "v", 10, 10), Normalised = bits / 2, ContextGainBits = new Estimate(0.1), ControlBits = 0,
                    SelectivityBits = 0, ShuffledBits = 0, Accuracy = 0.5, MacroF1 = 0.5, PerLabel = [],
                })],
                Profiles = [new LabelProfile { Label = "NOUN", Aliases = [], Score = scores, Information = scores, CentreOfGravity = gravity, ExpectedLayerPerLayer = null, PeakSet = [] }],
            }],
            Layers = [.. scores.Select((score, layer) => document.Layers[0] with
            {
                Layer = layer,
                RelativeDepth = (double)layer / depth,
                Cells = [new LabelCell("pos", "NOUN", score > 0 ? CellStatus.Established : CellStatus.NotEstablished, score, score - 0.1, score > 0 ? 3 : 0, 0.5, 0.5, 100, null)],
                Functionalities = score == 0 ? [] : [new Functionality
                {
                    Task = "pos", Label = "NOUN", Aliases = [], Status = CellStatus.Established, Rank = 1, FailedGates = [],
                    Encodes = new Encodes(score, [score - 0.03, score + 0.04], 0.5, 0.5, new GatingBaselines(0.1, 0.1), new Estimate(score - 0.1, [score - 0.13, score - 0.06])),
                    Distinguishes = new Distinguishes(0, [0, 0], null, null), Information = new CellInformation(0.5, 0.5, null), Features = new CellFeatures(3, 1, 1, 1, 0.1),
                }],
                FunctionalitiesNone = score == 0,
            })],
        };
    }

    private static DocumentSums Sums(int[] hits, int[] misfires, int[] misses, double[] saved, int layer = 1) => new(
        [.. Enumerable.Range(0, hits.Length).Select(d => $"d{d}")], [new CellSums(layer, "pos", "NOUN", hits, misfires, misses)],
        [.. Enumerable.Range(0, saved.Length).Select(d => $"t{d}")], [new InformationSums(layer, "pos", [.. saved.Select(_ => 50)], saved)]);

    private static async Task<LayerFunctionalityDocument> BaseAsync(ApiFixture api) => FinishedJob.Document(await api.SubmitAsync());

    [Fact]
    public async Task What_appeared_vanished_moved_or_was_kept()
    {
        var document = await BaseAsync(api);
        LabelComparison Of(LayerFunctionalityDocument left, LayerFunctionalityDocument right) => JobComparison.Of(new(left, null), new(right, null)).Labels.Single();
        var low = Make(document, [0.5, 0.2, 0], centre: [0.3, 0.2, 0.4]);
        var high = Make(document, [0, 0.2, 0.5], centre: [1.7, 1.5, 1.9]);
        var none = Make(document, [0, 0, 0]);
        Assert.Equal(LabelChange.Appeared, Of(none, high).Change);
        Assert.Equal(LabelChange.Vanished, Of(high, none).Change);
        Assert.Equal(LabelChange.Absent, Of(none, none).Change);
        Assert.Equal(LabelChange.Kept, Of(low, low).Change);
        Assert.Equal(LabelChange.Kept, Of(low, Make(document, [0.4, 0.3, 0], centre: [0.4, 0.2, 0.6])).Change);
        var moved = Of(low, high);
        Assert.Equal(LabelChange.Moved, moved.Change);
        Assert.Equal([0, 1], moved.LeftEstablished);
        Assert.Equal([1, 2], moved.RightEstablished);
        // In relative depth, of two blocks; the arms of both intervals, squared and added.
        Assert.Equal(0.7, moved.CentreDifference!.Value, 12);
        Assert.Equal(0.7 - Math.Sqrt(0.05 * 0.05 + 0.1 * 0.1), moved.CentreDifference.Ci95![0], 12);
        Assert.Equal(0.7 + Math.Sqrt(0.05 * 0.05 + 0.1 * 0.1), moved.CentreDifference.Ci95[1], 12);
        var vague = high with { Tasks = [high.Tasks[0] with { Profiles = [high.Tasks[0].Profiles[0] with { CentreOfGravity = high.Tasks[0].Profiles[0].CentreOfGravity! with { Localised = false } }] }] };
        Assert.Null(Of(low, vague).CentreDifference);
    }

    [Fact]
    public async Task Independent_samples_add_the_squares_of_their_arms()
    {
        var document = await BaseAsync(api);
        var compared = JobComparison.Of(new(Make(document, [0.2, 0.5]), null), new(Make(document, [0, 0.9], split: "11", bits: 1.5), null));
        Assert.False(compared.Paired);
        Assert.Contains(compared.Caveats, c => c.Contains("independent", StringComparison.Ordinal));
        var cell = compared.Labels.Single().Cells[1];
        Assert.Equal(0.4, cell.UnionF1.Value, 12);
        Assert.Equal([0.4 - double.Hypot(0.03, 0.04), 0.4 + double.Hypot(0.04, 0.03)], cell.UnionF1.Ci95!, (a, b) => Math.Abs(a - b) < 1e-12);
        // Without features the score is 0 in every sample: the other side's arms alone.
        Assert.Equal([-0.2 - 0.04, -0.2 + 0.03], compared.Labels.Single().Cells[0].UnionF1.Ci95!, (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal(0.5 - double.Hypot(0.3, 0.4), compared.Information[1].IvBits.Ci95![0], 12);
    }

    [Fact]
    public async Task On_the_same_documents_the_interval_is_that_of_a_paired_bootstrap()
    {
        var document = await BaseAsync(api);
        var random = new Random(5);
        int[] Counts(int least, int most) => [.. Enumerable.Range(0, Documents).Select(_ => random.Next(least, most))];
        int[] hits = Counts(5, 60), misfires = Counts(0, 10), misses = Counts(0, 20);
        // The right one finds a little more in every document: of each document's own size.
        int[] moreHits = [.. hits.Select((h, d) => h + misses[d] / 2)], fewerMisses = [.. misses.Select(m => m - m / 2)];
        double[] saved = [.. hits.Select(h => (double)h)], moreSaved = [.. saved.Select(s => s + 3 + random.NextDouble())];
        static double F1(IEnumerable<int> d, int[] hits, int[] misfires, int[] misses) => d.Sum(i => 2.0 * hits[i]) / d.Sum(i => 2.0 * hits[i] + misfires[i] + misses[i]);
        var all = Enumerable.Range(0, Documents).ToArray();
        double left = F1(all, hits, misfires, misses), right = F1(all, moreHits, misfires, fewerMisses);

        var compared = JobComparison.Of(new(Make(document, [0, left]), Sums(hits, misfires, misses, saved)), new(Make(document, [0, right]), Sums(moreHits, misfires, fewerMisses, moreSaved)));
        Assert.True(compared.Paired);
        var samples = Enumerable.Range(0, 4000).Select(_ =>
        {
            var drawn = all.Select(_ => random.Next(Documents)).ToArray();
            return (F1: F1(drawn, moreHits, misfires, fewerMisses) - F1(drawn, hits, misfires, misses),
                Bits: drawn.Sum(d => moreSaved[d] - saved[d]) / (50.0 * Documents));
        }).ToArray();
        Check(compared.Labels.Single().Cells[1].UnionF1, [.. samples.Select(s => s.F1).Order()]);
        Check(compared.Information[1].IvBits, [.. samples.Select(s => s.Bits).Order()], shift: compared.Information[1].IvBits.Value - (moreSaved.Sum() - saved.Sum()) / (50.0 * Documents));
        Assert.Equal(0, compared.Labels.Single().Cells[0].UnionF1.Ci95![1]);

        // Other documents, or another order of parts: not paired, and wider.
        var apart = JobComparison.Of(new(Make(document, [0, left]), Sums(hits, misfires, misses, saved)), new(Make(document, [0, right], split: "11"), Sums(moreHits, misfires, fewerMisses, moreSaved)));
        Assert.False(apart.Paired);

        static void Check(Estimate of, double[] sorted, double shift = 0)
        {
            double low = sorted[(int)(0.025 * sorted.Length)], high = sorted[(int)(0.975 * sorted.Length)];
            Assert.Equal(low + shift, of.Ci95![0], 0.12 * (high - low));
            Assert.Equal(high + shift, of.Ci95[1], 0.12 * (high - low));
        }
    }

    [Fact]
    public async Task Models_of_different_depth_are_matched_by_relative_depth()
    {
        var document = await BaseAsync(api);
        var compared = JobComparison.Of(new(Make(document, [0.1, 0.2, 0.3], depth: 2), null), new(Make(document, [0.1, 0.2, 0.3, 0.4, 0.5], depth: 4), null));
        Assert.Equal("relative_depth", compared.MatchedBy);
        Assert.Equal([(0, 0), (1, 2), (2, 4)], compared.Layers.Select(p => (p.Left, p.Right)));
        Assert.Equal([0.0, 0.1, 0.2], compared.Labels.Single().Cells.Select(c => Math.Round(c.UnionF1.Value, 9)));
        Assert.Contains(compared.Caveats, c => c.Contains("differ in depth", StringComparison.Ordinal));
    }

    [Fact]
    public async Task By_http_with_the_refusals_of_its_neighbours()
    {
        var (left, right, other) = (await api.SubmitAsync(), await api.SubmitAsync(), await api.SubmitAsync());
        await FinishedJob.FinishAsync(api, left, d => Make(d, [0, 0.4, 0]));
        await FinishedJob.FinishAsync(api, other, d => Make(d, [0, 0.4, 0]) with { Tasks = [d.Tasks[0] with { Task = "mood" }] });
        var path = $"/v1/compare?left={left.Id}&right={right.Id}";
        Assert.Contains("conclude", (await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(path, Ct), ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        int[] ones = [.. Enumerable.Repeat(1, 10)];
        await FinishedJob.FinishAsync(api, right, d => Make(d, [0.3, 0.5, 0]), Sums(ones, ones, ones, [.. ones.Select(o => (double)o)]));

        using var answer = await api.Submitter.GetAsync(path, Ct);
        var compared = await ApiFixture.ReadAsync<Comparison>(answer);
        Assert.Equal((left.Id, right.Id, false), (compared.Left.JobId, compared.Right.JobId, compared.Paired)); // the left one has kept no sums
        Assert.Equal(0.1, compared.Labels.Single().Cells[1].UnionF1.Value, 12);
        var again = new HttpRequestMessage(HttpMethod.Get, path);
        again.Headers.IfNoneMatch.Add(answer.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await api.Submitter.SendAsync(again, Ct)).StatusCode);

        await ApiFixture.ProblemAsync(await api.Other.GetAsync(path, Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"/v1/compare?left={left.Id}&right={Guid.NewGuid()}", Ct), ProblemCodes.NotFound);
        Assert.Contains("missing", (await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"/v1/compare?left={left.Id}", Ct), ProblemCodes.InvalidParameter)).Detail!, StringComparison.Ordinal);
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"/v1/compare?left=x&right={right.Id}", Ct), ProblemCodes.InvalidParameter);
        Assert.Contains("mood", (await ApiFixture.ProblemAsync(await api.Submitter.GetAsync($"/v1/compare?left={left.Id}&right={other.Id}", Ct), ProblemCodes.InvalidRequest)).Detail!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sums_that_both_kept_pair_them()
    {
        var (left, right) = (await api.SubmitAsync(), await api.SubmitAsync());
        int[] ones = [.. Enumerable.Repeat(1, 10)];
        var sums = Sums(ones, ones, ones, [.. ones.Select(o => (double)o)]);
        await FinishedJob.FinishAsync(api, left, d => Make(d, [0, 0.5, 0]), sums);
        await FinishedJob.FinishAsync(api, right, d => Make(d, [0, 0.5, 0]), sums);
        var compared = await ApiFixture.ReadAsync<Comparison>(await api.Submitter.GetAsync($"/v1/compare?left={left.Id}&right={right.Id}", Ct));
        Assert.True(compared.Paired);
        Assert.Equal([0.0, 0.0], compared.Labels.Single().Cells[1].UnionF1.Ci95!); // the same features on the same documents: no doubt that nothing differs
    }
}
