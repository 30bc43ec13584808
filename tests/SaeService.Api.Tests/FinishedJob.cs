using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.TestSupport;

namespace SaeService.Api.Tests;

/// <summary>Gives a submitted job the results that its stages would have published.</summary>
internal static class FinishedJob
{
    public const int DSae = 128, DIn = 16;

    public const string Words = "document,sentence,word,text,use\r\nd0,s0,0,Ada,train\r\n";

    public static FeatureSummary Summary(int index, string task, string label, double lower, int support) => new()
    {
        Index = index,
        Task = task,
        DominantLabel = label,
        Consistent = lower >= 0.8,
        Consistency = lower + 0.05,
        ConsistencyLower = lower,
        WeightedConsistency = lower,
        TrainConsistency = lower,
        Kappa = lower,
        Recall = 0.5,
        F1 = 0.6,
        Mcc = 0.55,
        Auroc = null,
        Support = support,
        Sentences = support,
        Threshold = 0.5,
        PositiveSupport = support,
        PositiveConsistency = lower,
        BaseRate = 0.2,
        Lift = 4,
        Log10P = -320.5,
        Q = 0,
        MiBits = 0.1,
        ExpectedMiBits = 0.01,
        Entropy = 0.1,
        LexicalDiversity = 3,
        ContextGain = 0.2,
        ContextGainCi95 = [0.1, 0.3],
        Kind = index % 2 == 0 ? FeatureKind.Contextual : FeatureKind.Lexical,
        LabelDistribution = new Dictionary<string, int> { [label] = support },
    };

    /// <summary>Layer rows, features 0 to 11 of every layer against pos and ner (many with equal scores), files, and the document.</summary>
    /// <param name="change">What the document is to be instead of <see cref="Document"/>.</param>
    public static async Task FinishAsync(ApiFixture api, Job job, Func<LayerFunctionalityDocument, LayerFunctionalityDocument>? change = null, DocumentSums? sums = null)
    {
        await using var db = api.Database();
        var store = api.Services.GetRequiredService<ArtifactStore>();
        var stages = await db.Stages.AsNoTracking().Where(x => x.JobId == job.Id).ToListAsync();
        await LabelAsync(api, job, stages.Where(s => s.Kind == StageKind.Label).Select(s => s.Layer!.Value));

        Publish(StageKind.Prepare, null, "split.json", """{"d0":"train"}""");
        Publish(StageKind.Prepare, null, "alignment.csv", "sentence,position,form,reason\n");
        Publish(StageKind.Inform, StagePlan.ReferenceLayer(job.Request.Layers!.Layers!), "words.csv", Words);
        foreach (var layer in job.Request.Layers!.Layers!)
        {
            Publish(StageKind.Train, layer, "cfg.json", """{"architecture":"topk"}""");
            var weights = Path.GetTempFileName();
            SafetensorsWriter.Write(weights, [TensorSource.Of<float>("W_dec", DType.F32, [DSae, DIn], Decoder(layer))]);
            PublishBytes(StageKind.Train, layer, "sae_weights.safetensors", await File.ReadAllBytesAsync(weights));
            File.Delete(weights);
        }
        if (sums is not null)
            Publish(StageKind.Conclude, null, DocumentSums.FileName, JsonSerializer.Serialize(sums, Wire.Json));
        await db.Stages.Where(x => x.JobId == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Succeeded));
        var row = await db.Jobs.SingleAsync(x => x.Id == job.Id);
        row.Document = JsonSerializer.SerializeToUtf8Bytes(change is null ? Document(job) : change(Document(job)), Wire.Json);
        PublishedSchema.AssertValid(Encoding.UTF8.GetString(row.Document));
        row.DocumentSha256 = Convert.ToHexStringLower(SHA256.HashData(row.Document));
        row.Status = JobStatus.Succeeded;
        row.FinishedAt = DateTimeOffset.UtcNow;
        await db.SaveChangesAsync();

        void Publish(StageKind kind, int? layer, string name, string content) => PublishBytes(kind, layer, name, Encoding.UTF8.GetBytes(content));

        void PublishBytes(StageKind kind, int? layer, string name, byte[] content)
        {
            using var writer = store.Create(ArtifactStore.KeyOf(job.Id, kind, layer, 1, name));
            writer.Stream.Write(content);
            var stored = writer.Complete();
            db.Artifacts.Add(new ArtifactRow
            {
                Id = Guid.CreateVersion7(),
                JobId = job.Id,
                StageId = stages.Single(s => s.Kind == kind && s.Layer == layer).Id,
                Stage = kind,
                Layer = layer,
                Attempt = 1,
                Name = name,
                Key = stored.Key,
                Bytes = stored.Bytes,
                Sha256 = stored.Sha256,
                CreatedAt = DateTimeOffset.UtcNow,
            });
        }
    }

    /// <summary>What the train and label stages of some layers publish; the job goes on.</summary>
    public static async Task LabelAsync(ApiFixture api, Job job, IEnumerable<int> layers)
    {
        await using var db = api.Database();
        foreach (var layer in layers)
        {
            db.Layers.Add(new LayerRow { JobId = job.Id, Layer = layer, Attempt = 1, DSae = DSae, K = 32, Fvu = 0.1, L0 = 32, Dead = 0, SaeJson = JsonSerializer.Serialize(Sae(layer), Wire.Json), TrainingJson = JsonSerializer.Serialize(new SaeTraining(1, 1000, [new TrainingPoint(2048, 0.5, 0.1, 32, 0, 1e-3)], [1, 2]), Wire.Json) });
            for (var index = 0; index < 12; index++)
            {
                var feature = new FeatureRow { JobId = job.Id, Layer = layer, Index = index, Density = 0.01, MaxActivation = 2, MeanActivation = 1, HistogramJson = """{"edges":[0,1,2],"counts":[5,3]}""", ContextsJson = """[{"text":"old dogs","words":["old","dogs"],"position":1,"activation":2,"activations":[0,2],"labels":{"pos":"NOUN"},"sentence":"s1"}]""", PromotedJson = """[{"token":" dog","value":1.5}]""", SuppressedJson = "[]" };
                // The first three are as rows of older versions are.
                if (index >= 3)
                {
                    feature.PromotedTokens = index == 5 ? " zebra" : " dog";
                    feature.LabelHistogramsJson = """[{"task":"pos","labels":[{"label":"NOUN","counts":[4,3]}],"other":[1,0]}]""";
                    feature.IntervalsJson = """[{"low":1,"high":2,"words":3,"share":0.375,"contexts":[]},{"low":0,"high":1,"words":5,"share":0.625,"contexts":[{"text":"He dogs me","words":["He","dogs","me"],"position":1,"activation":0.5,"activations":[0,0.5,0.75],"labels":{"pos":"VERB"},"sentence":"s2"}]}]""";
                }
                db.Features.Add(feature);
                foreach (var summary in new[] { Summary(index, "pos", index < 6 ? "NOUN" : "VERB, \"x\"", index < 4 ? 0.9 : 0.5, 10 * index), Summary(index, "ner", "PER", 0.3, 7) })
                    db.FeatureLabels.Add(new FeatureLabelRow { JobId = job.Id, Layer = layer, Index = index, Task = summary.Task, Label = summary.DominantLabel, Kind = summary.Kind, Consistent = summary.Consistent, Consistency = summary.Consistency, ConsistencyLower = summary.ConsistencyLower, F1 = summary.F1, Mcc = summary.Mcc, MiBits = summary.MiBits, ContextGain = summary.ContextGain, Support = summary.Support, SummaryJson = JsonSerializer.Serialize(summary, Wire.Json) });
            }
            await db.Stages.Where(x => x.JobId == job.Id && x.Layer == layer && (x.Kind == StageKind.Train || x.Kind == StageKind.Encode || x.Kind == StageKind.Label))
                .ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Succeeded));
        }
        await db.SaveChangesAsync();
    }

    /// <summary>[DSae, DIn] of a layer.</summary>
    public static float[] Decoder(int layer)
    {
        var random = new Random(layer);
        return [.. Enumerable.Range(0, DSae * DIn).Select(_ => (float)(random.NextDouble() - 0.5))];
    }

    private static SaeProvenance Sae(int layer) => new(layer, "topk", 32, 128, 0, 2_000_000, 0.1, 32, 0, "pass", "00");

    public static LayerFunctionalityDocument Document(Job job)
    {
        var layers = job.Request.Layers!.Layers!;
        return new LayerFunctionalityDocument
        {
            Id = job.Id,
            CreatedUtc = job.CreatedAt,
            Provenance = new Provenance
            {
                Model = new ModelProvenance("tiny", null, "llama", "causal", 2, 16, "resid_post", []),
                Data = new DataProvenance("mini", [], "60/20/20", "00", "raw"),
                Sae = [.. layers.Select(Sae)],
                Settings = job.Request,
                Software = "test",
                Device = "cpu",
            },
            Counts = new Counts
            {
                Documents = 1,
                Sentences = 1,
                Words = 5,
                Tokens = 5,
                Aligned = 5,
                AmbiguousDropped = 0,
                UnalignedDropped = 0,
                MultiwordDropped = 0,
                TruncatedDropped = 0,
                TooManyPiecesDropped = 0,
                FirstPositionDropped = 0,
                NormFiltered = new Dictionary<string, int>(),
                Split = new Dictionary<string, int> { ["train"] = 5 },
                PerLabel = new Dictionary<string, IReadOnlyDictionary<string, int>>(),
            },
            Tasks = [new TaskFindings
            {
                Task = "pos",
                Labels = 5,
                EntropyBits = 2.3,
                Majority = 0.2,
                TypeBaselineAccuracy = 1,
                TypeInformationBits = 2.3,
                Target = "current",
                Lambda = 1e-3,
                Layers = [],
                Profiles = [new LabelProfile { Label = "NOUN", Aliases = [], Score = [.. layers.Select(_ => 0.5)], Information = [.. layers.Select(_ => 0.4)], CentreOfGravity = null, ExpectedLayerPerLayer = null, PeakSet = [1] }],
            }],
            Layers = [.. layers.Select(layer => new LayerFindings
            {
                Layer = layer,
                HookPoint = layer == 0 ? "embed" : $"blocks.{layer - 1}.resid_post",
                RelativeDepth = layer / 2.0,
                Alive = 12,
                Functionalities = [],
                FunctionalitiesNone = true,
                Cells = [],
                Features = [],
                Summary = new LayerSummary("No function is established.", "none", []),
            })],
            MultipleTesting = new MultipleTesting("bh", "layer x task", 0),
            Caveats = [],
            Glossary = new Dictionary<string, string>(),
        };
    }
}
