using System.Net;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>What a feature's page shows, and what it is in the words of Neuronpedia.</summary>
public sealed class FeatureTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_feature_has_contexts_at_every_strength_and_one_of_an_older_version_has_what_was_measured_then()
    {
        var job = await FinishedAsync();
        var feature = await GetAsync<FeatureDetail>($"{job.Urls.Self}/layers/1/features/3");
        Assert.Equal([(1.0, 2.0, 3, 0.375), (0.0, 1.0, 5, 0.625)], feature.Intervals.Select(i => (i.Low, i.High, i.Words, i.Share)));
        Assert.Equal("He dogs me", feature.Intervals[1].Contexts.Single().Text);
        var byLabel = feature.LabelHistograms.Single();
        Assert.Equal("NOUN", byLabel.Labels.Single().Label);
        Assert.Equal(feature.Histogram.Counts, byLabel.Other.Zip(byLabel.Labels[0].Counts, (a, b) => a + b));

        var old = await GetAsync<FeatureDetail>($"{job.Urls.Self}/layers/1/features/2");
        Assert.Empty(old.Intervals);
        Assert.Empty(old.LabelHistograms);
        Assert.Single(old.TopContexts);
    }

    [Theory]
    [InlineData("", new[] { 0, 1, 2 }, 10)]
    [InlineData("?layers=same&limit=100", new[] { 1 }, 100)]
    [InlineData("?layers=all&limit=3", new[] { 0, 1, 2 }, 3)]
    public async Task Neighbours_are_those_of_the_highest_cosines_with_what_they_are_consistent_for(string query, int[] layers, int limit)
    {
        var job = await FinishedAsync();
        var answer = await GetAsync<FeatureNeighbours>($"{job.Urls.Self}/layers/1/features/7/neighbours{query}");
        Assert.Equal((job.Id, 1, 7), (answer.JobId, answer.Layer, answer.Index));
        Assert.Equal(layers, answer.Layers.Select(l => l.Layer));
        foreach (var layer in answer.Layers)
        {
            var expected = Enumerable.Range(0, FinishedJob.DSae).Where(f => layer.Layer != 1 || f != 7)
                .Select(f => (Index: f, Cosine: Cosine(Row(1, 7), Row(layer.Layer, f)))).OrderByDescending(n => n.Cosine).Take(limit).ToList();
            Assert.Equal(expected.Select(n => n.Index), layer.Neighbours.Select(n => n.Index));
            foreach (var (one, other) in expected.Zip(layer.Neighbours))
                Assert.Equal(one.Cosine, other.Cosine, 2e-6);
            // Of the twelve that have labels, the first four are consistent for one.
            foreach (var n in layer.Neighbours)
                Assert.Equal(n.Index < 4 ? [new NeighbourLabel("pos", "NOUN", 0.9)] : [], n.Labels);
        }
        Assert.True(limit < 100 || answer.Layers.SelectMany(l => l.Neighbours).Any(n => n.Labels.Count > 0));

        static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
        {
            var (ab, aa, bb) = (0.0, 0.0, 0.0);
            for (var i = 0; i < a.Length; i++)
                (ab, aa, bb) = (ab + (double)a[i] * b[i], aa + (double)a[i] * a[i], bb + (double)b[i] * b[i]);
            return ab / Math.Sqrt(aa * bb);
        }

        static ReadOnlySpan<float> Row(int layer, int feature) => FinishedJob.Decoder(layer).AsSpan(feature * FinishedJob.DIn, FinishedJob.DIn);
    }

    [Fact]
    public async Task Layers_without_an_autoencoder_have_no_neighbours_and_wrong_parameters_are_named()
    {
        var job = await FinishedAsync();
        var path = $"{job.Urls.Self}/layers/1/features/7/neighbours";
        Assert.Contains("layers", (await ProblemAsync(path + "?layers=some", ProblemCodes.InvalidParameter)).Errors!.Keys);
        await ProblemAsync(path + "?limit=0", ProblemCodes.InvalidParameter);
        await ProblemAsync(path + "?limit=101", ProblemCodes.InvalidParameter);
        await ProblemAsync($"{job.Urls.Self}/layers/1/features/128/neighbours", ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Other.GetAsync(path, Ct), ProblemCodes.NotFound);

        await using var db = api.Database();
        await db.Artifacts.Where(x => x.JobId == job.Id && x.Layer == 2 && x.Stage == StageKind.Train).ExecuteDeleteAsync(Ct);
        Assert.Equal([0, 1], (await GetAsync<FeatureNeighbours>(path)).Layers.Select(l => l.Layer));
        await db.Artifacts.Where(x => x.JobId == job.Id && x.Layer == 1 && x.Stage == StageKind.Train).ExecuteDeleteAsync(Ct);
        Assert.Contains("has not kept", (await ProblemAsync(path, ProblemCodes.NotFound)).Detail!, StringComparison.Ordinal);
        // The page's other half is served without.
        Assert.Empty((await NeuronpediaAsync(job, 1, 7))["topkCosSimIndices"]!.AsArray());
    }

    [Fact]
    public async Task Neuronpedia_s_view_has_every_member_that_notebooks_ask_for()
    {
        var job = await FinishedAsync();
        var feature = await NeuronpediaAsync(job, 2, 3);
        string[] members =
        [
            "modelId", "layer", "index", "sourceSetName", "creatorId", "createdAt", "maxActApprox", "hasVector", "vector", "vectorLabel", "vectorDefaultSteerStrength", "hookName",
            "topkCosSimIndices", "topkCosSimValues", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1", "correlated_neurons_indices",
            "correlated_neurons_pearson", "correlated_neurons_l1", "correlated_features_indices", "correlated_features_pearson", "correlated_features_l1", "neg_str", "neg_values",
            "pos_str", "pos_values", "frac_nonzero", "freq_hist_data_bar_heights", "freq_hist_data_bar_values", "logits_hist_data_bar_heights", "logits_hist_data_bar_values",
            "decoder_weights_dist", "umap_x", "umap_y", "umap_cluster", "umap_log_feature_sparsity", "activations", "explanations", "comments", "lists",
        ];
        Assert.Equal(members.Order(StringComparer.Ordinal), feature.AsObject().Select(m => m.Key).Order(StringComparer.Ordinal));
        Assert.Equal(("tiny", "2-sae", "3", "sae", "blocks.1.hook_resid_post"), ((string)feature["modelId"]!, (string)feature["layer"]!, (string)feature["index"]!,
            (string)feature["sourceSetName"]!, (string)feature["hookName"]!));
        Assert.Equal(" dog", (string)feature["pos_str"]![0]!);
        Assert.Equal((0.01, 2, -2, false), ((double)feature["frac_nonzero"]!, (int)feature["maxActApprox"]!, (double)feature["umap_log_feature_sparsity"]!, (bool)feature["hasVector"]!));
        Assert.Equal([0.5, 1.5], feature["freq_hist_data_bar_values"]!.AsArray().Select(v => (double)v!));
        Assert.Equal("pos: NOUN", (string)feature["explanations"]![0]!["description"]!);
        var neighbours = await GetAsync<FeatureNeighbours>($"{job.Urls.Self}/layers/2/features/3/neighbours?layers=same");
        Assert.Equal(neighbours.Layers.Single().Neighbours.Select(n => (n.Index, n.Cosine)),
            feature["topkCosSimIndices"]!.AsArray().Zip(feature["topkCosSimValues"]!.AsArray(), (index, cosine) => ((int)index!, (double)cosine!)));

        string[] ofActivations =
        [
            "id", "tokens", "values", "maxValue", "maxValueTokenIndex", "minValue", "dataIndex", "dataSource", "binMin", "binMax", "binContains", "qualifyingTokenIndex", "dfaValues",
            "dfaTargetIndex", "dfaMaxValue", "lossValues", "logitContributions",
        ];
        var (top, sampled) = (feature["activations"]![0]!, feature["activations"]![1]!);
        Assert.Equal(ofActivations.Order(StringComparer.Ordinal), top.AsObject().Select(m => m.Key).Order(StringComparer.Ordinal));
        Assert.Equal((-1.0, 2.0, -1.0, 1, 2.0, 0.0), ((double)top["binMin"]!, (double)top["binMax"]!, (double)top["binContains"]!, (int)top["maxValueTokenIndex"]!,
            (double)top["maxValue"]!, (double)top["minValue"]!));
        Assert.Equal((0.0, 1.0, 0.625, 2, 1, "s2"), ((double)sampled["binMin"]!, (double)sampled["binMax"]!, (double)sampled["binContains"]!, (int)sampled["maxValueTokenIndex"]!,
            (int)sampled["qualifyingTokenIndex"]!, (string)sampled["dataIndex"]!));
        Assert.Null((await NeuronpediaAsync(job, 2, 100))["umap_log_feature_sparsity"]);
    }

    [Fact]
    public async Task Uploads_to_Neuronpedia_are_bodies_of_at_most_128_features_a_line()
    {
        var job = await FinishedAsync();
        await using (var db = api.Database())
        {
            db.Features.AddRange(Enumerable.Range(200, 245).Select(index => new FeatureRow
            {
                JobId = job.Id,
                Layer = 1,
                Index = index,
                Density = 0.5,
                MaxActivation = 1,
                MeanActivation = 1,
                HistogramJson = """{"edges":[],"counts":[]}""",
                ContextsJson = "[]",
                PromotedJson = "[]",
                SuppressedJson = "[]",
            }));
            await db.SaveChangesAsync(Ct);
        }
        using var answer = await api.Submitter.GetAsync($"{job.Urls.Self}/layers/1/neuronpedia?model=gpt2-small&source=1-own", Ct);
        Assert.Equal("application/jsonl", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains("neuronpedia-layer-1.jsonl", answer.Content.Headers.ContentDisposition!.ToString(), StringComparison.Ordinal);
        var text = await answer.Content.ReadAsStringAsync(Ct);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var batches = text.TrimEnd().Split('\n').Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal([128, 128, 1], batches.Select(b => b["features"]!.AsArray().Count));
        Assert.All(batches, b => Assert.Equal(("gpt2-small", "1-own"), ((string)b["modelId"]!, (string)b["source"]!)));
        Assert.Equal(Enumerable.Range(0, 12).Concat(Enumerable.Range(200, 245)), batches.SelectMany(b => b["features"]!.AsArray()).Select(f => (int)f!["index"]!));

        Assert.Equal("""
            {"index":3,"density":0.01,"topLogits":[{"token":" dog","value":1.5}],"bottomLogits":[],
            "explanations":[{"text":"pos: NOUN","methodName":"label","modelName":"gold annotation"}],
            "activations":[{"tokens":["old","dogs"],"values":[0,2],"quantileMin":-1,"quantileMax":2,"quantileFraction":-1},
            {"tokens":["He","dogs","me"],"values":[0,0.5,0.75],"quantileMin":0,"quantileMax":1,"quantileFraction":0.625}]}
            """.ReplaceLineEndings(""), batches[0]["features"]![3]!.ToJsonString(new() { Encoder = Wire.Json.Encoder }));
        Assert.Empty(batches[0]["features"]![7]!["explanations"]!.AsArray());

        var plain = JsonNode.Parse((await api.Submitter.GetStringAsync($"{job.Urls.Self}/layers/2/neuronpedia", Ct)).TrimEnd())!;
        Assert.Equal(("tiny", "2-sae"), ((string)plain["modelId"]!, (string)plain["source"]!));
        await ProblemAsync($"{job.Urls.Self}/layers/1/neuronpedia?model=", ProblemCodes.InvalidParameter);
        await ProblemAsync($"{job.Urls.Self}/layers/7/neuronpedia", ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Other.GetAsync($"{job.Urls.Self}/layers/1/neuronpedia", Ct), ProblemCodes.NotFound);
        var waiting = await api.SubmitAsync();
        await ProblemAsync($"{waiting.Urls.Self}/layers/1/neuronpedia", ProblemCodes.NotReady);
    }

    private async Task<Job> FinishedAsync()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job);
        return job;
    }

    private async Task<JsonNode> NeuronpediaAsync(Job job, int layer, int index) =>
        JsonNode.Parse(await api.Submitter.GetStringAsync($"{job.Urls.Self}/layers/{layer}/features/{index}?view=neuronpedia", Ct))!;

    private async Task<T> GetAsync<T>(string path)
    {
        using var answer = await api.Submitter.GetAsync(path, Ct);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{path}: {await answer.Content.ReadAsStringAsync(Ct)}");
        return await ApiFixture.ReadAsync<T>(answer);
    }

    private async Task<Problem> ProblemAsync(string path, string code) => await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(path, Ct), code);
}
