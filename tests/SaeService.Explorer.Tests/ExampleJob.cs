using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Api.Tests;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <param name="Name">Of the task, <c>pos</c>.</param>
internal sealed record ExampleTask(string Name, params string[] Labels);

/// <summary>
/// A job made of rows: what it is named, how large it is, what words are in it. Each label is strong at one layer and fades above and below, so that heat maps, profiles and
/// curves have a shape.
/// </summary>
internal sealed record ExampleJob(string Model, string Dataset, int Layers, params ExampleTask[] Tasks)
{
    /// <summary>Latents of a layer that fire.</summary>
    public int Features { get; init; } = 24;

    /// <summary>Of which its contexts and token lists are made.</summary>
    public IReadOnlyList<string> Words { get; init; } = ["Ada", "sees", "the", "old", "dogs", "near", "Paris", ",", "and", "smiles", "."];

    /// <summary>1; 0 for a job in which nothing is established.</summary>
    public double Strength { get; init; } = 1;

    public IReadOnlyList<int> LayerNumbers => [.. Enumerable.Range(0, Layers)];

    /// <summary>0 to 1.</summary>
    public double Score(int layer, int task, int label)
    {
        var peak = (label * 2 + task) % Layers;
        return Strength * Math.Max(0.04, 0.92 - 0.04 * label - 0.9 * Math.Abs(layer - peak) / Layers);
    }

    /// <summary>The task and label that feature number <paramref name="index"/> is for.</summary>
    public (int Task, int Label) Of(int index) => (index % Tasks.Length, index / Tasks.Length % Tasks[index % Tasks.Length].Labels.Length);

    /// <summary>Queues it; whatever its names, for the model is a small one of the fixture's.</summary>
    public async Task<Job> SubmitAsync(ApiFixture api, Guid? owner = null)
    {
        using var answer = await api.Admin.PostAsync("/v1/jobs/estimate", ApiFixture.Json("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"mode":"full"}"""));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        var preview = await ApiFixture.ReadAsync<JobPreview>(answer);
        var request = preview.Request with
        {
            Model = new(Model),
            Dataset = preview.Request.Dataset with { Id = Dataset },
            Layers = new(LayerNumbers),
            Tasks = [.. Tasks.Select(task => task.Name)],
        };
        var job = (await api.Services.GetRequiredService<JobQueue>().SubmitAsync(request, LayerNumbers, owner, estimate: preview.Estimate)).Job;
        return (await api.Services.GetRequiredService<JobReader>().GetAsync(job.Id))!;
    }

    /// <summary>Gives it the results of its stages.</summary>
    public async Task FinishAsync(ApiFixture api, Job job)
    {
        LayerFunctionalityDocument document = null!;
        await FinishedJob.FinishAsync(api, job, basis => document = ExampleDocument.Of(this, basis));
        await using var db = api.Database();
        await using var transaction = await db.Database.BeginTransactionAsync();
        foreach (var layer in LayerNumbers)
        {
            await RowCopy.ReplaceAsync(db, LayerRow(job.Id, layer), CancellationToken.None);
            await RowCopy.ReplaceAsync(db, job.Id, layer, Enumerable.Range(0, Features).Select(index => FeatureRow(job.Id, layer, index)), CancellationToken.None);
            await RowCopy.ReplaceAsync(db, job.Id, layer, Enumerable.Range(0, Features).Select(index => LabelRow(job.Id, layer, Summary(layer, index))), CancellationToken.None);
            await RowCopy.ReplaceAsync(db, job.Id, layer, document.Layers[layer].Cells.Select(cell => CellRow(job.Id, layer, cell)), CancellationToken.None);
            await RowCopy.ReplaceAsync(db, job.Id, layer, document.Tasks.Select(task => ProbeRow(job.Id, task.Task, task.Layers[layer])), CancellationToken.None);
        }
        await transaction.CommitAsync();
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.StartedAt, job.CreatedAt));
    }

    /// <summary>A finished one.</summary>
    public async Task<Job> MakeAsync(ApiFixture api, Guid? owner = null)
    {
        var job = await SubmitAsync(api, owner);
        await FinishAsync(api, job);
        return job;
    }

    public FeatureSummary Summary(int layer, int index)
    {
        var (task, label) = Of(index);
        var score = Score(layer, task, label);
        var others = Tasks[task].Labels.Where((_, other) => other != label).Take(2);
        return FinishedJob.Summary(index, Tasks[task].Name, Tasks[task].Labels[label], score, 40 + 7 * index) with
        {
            Consistency = Math.Min(1, score + 0.05),
            F1 = score * 0.9,
            Mcc = score * 0.85,
            ContextGain = 0.3 - 0.02 * index,
            Detection = new DetectionScore(0.5 + score / 2, 0.55, 0.5 + score / 3, 0.52, 30, 200),
            LabelDistribution = new Dictionary<string, int> { [Tasks[task].Labels[label]] = 40 + 6 * index }.Concat(others.Select(other => KeyValuePair.Create(other, index))).ToDictionary(),
        };
    }

    private LayerRow LayerRow(Guid job, int layer) => new()
    {
        JobId = job,
        Layer = layer,
        Attempt = 1,
        DSae = Math.Max(128, Features),
        K = 32,
        Fvu = 0.05 + 0.02 * layer,
        L0 = 31.5,
        Dead = 0.04,
        SaeJson = JsonSerializer.Serialize(ExampleDocument.Sae(this, layer), Wire.Json),
        TrainingJson = JsonSerializer.Serialize(new SaeTraining(12.5, 160_000,
            [.. Enumerable.Range(1, 20).Select(step => new TrainingPoint(step * 100_000, 0.05 + 0.02 * layer + 0.6 / step, 0.2 / step, 31.5, Math.Max(0.04, 0.3 - 0.02 * step), 1e-3))],
            [1, 4, 9, 20, 31, 12, 5, 0]), Wire.Json),
    };

    private FeatureRow FeatureRow(Guid job, int layer, int index)
    {
        var (task, label) = Of(index);
        var contexts = Enumerable.Range(0, 8).Select(n =>
        {
            var words = Enumerable.Range(n + index, Math.Min(12, Words.Count)).Select(i => Words[i % Words.Count]).ToArray();
            var position = n % words.Length;
            return new ActivatingContext(string.Join(' ', words), words, position, 4 - 0.3 * n, [.. words.Select((_, i) => i == position ? 4 - 0.3 * n : i == position + 1 ? 0.8 : 0)],
                Tasks.ToDictionary(t => t.Name, t => (string?)t.Labels[label % t.Labels.Length]), $"s{n}");
        }).ToArray();
        return new()
        {
            JobId = job,
            Layer = layer,
            Index = index,
            Density = 0.02,
            MaxActivation = 4,
            MeanActivation = 1.3f,
            HistogramJson = JsonSerializer.Serialize(new ActivationHistogram([0, 1, 2, 3, 4], [52, 21, 9, 3]), Wire.Json),
            ContextsJson = JsonSerializer.Serialize(contexts, Wire.Json),
            PromotedJson = JsonSerializer.Serialize(Words.Take(6).Select((word, i) => new TokenEffect(" " + word, 1.5 - 0.2 * i)), Wire.Json),
            SuppressedJson = JsonSerializer.Serialize(Words.Reverse().Take(6).Select((word, i) => new TokenEffect(word, -1.2 + 0.2 * i)), Wire.Json),
            IntervalsJson = JsonSerializer.Serialize(Enumerable.Range(0, 4).Select(n => new ActivationInterval(3 - n, 4 - n, 3 + 10 * n, 0.1 + 0.1 * n, [.. contexts.Skip(n).Take(3)])), Wire.Json),
            LabelHistogramsJson = JsonSerializer.Serialize(Tasks.Select(t => new LabelHistogram(t.Name, [new LabelCounts(t.Labels[label % t.Labels.Length], [40, 18, 9, 3])], [12, 3, 0, 0])), Wire.Json),
            PromotedTokens = string.Join('\n', Words.Take(6)).ToLowerInvariant(),
        };
    }

    private static FeatureLabelRow LabelRow(Guid job, int layer, FeatureSummary summary) => new()
    {
        JobId = job,
        Layer = layer,
        Index = summary.Index,
        Task = summary.Task,
        Label = summary.DominantLabel,
        Kind = summary.Kind,
        Consistent = summary.Consistent,
        Consistency = summary.Consistency,
        ConsistencyLower = summary.ConsistencyLower,
        F1 = summary.F1,
        Mcc = summary.Mcc,
        MiBits = summary.MiBits,
        ContextGain = summary.ContextGain,
        Support = summary.Support,
        SummaryJson = JsonSerializer.Serialize(summary, Wire.Json),
    };

    private static CellRow CellRow(Guid job, int layer, LabelCell cell) => new()
    {
        JobId = job,
        Layer = layer,
        Task = cell.Task,
        Label = cell.Label,
        Status = cell.Status,
        UnionF1 = cell.UnionF1,
        Excess = cell.Excess,
        FeatureCount = cell.FeatureCount,
        IvBits = cell.IvBits,
        Normalised = cell.Normalised,
        Support = cell.Support,
    };

    private static ProbeRow ProbeRow(Guid job, string task, LayerInformation information) => new()
    {
        JobId = job,
        Layer = information.Layer,
        Task = task,
        IvBits = information.IvBits.Value,
        ControlBits = information.ControlBits,
        ShuffledBits = information.ShuffledBits,
        Accuracy = information.Accuracy,
        MacroF1 = information.MacroF1,
        InformationJson = JsonSerializer.Serialize(information, Wire.Json),
    };
}
