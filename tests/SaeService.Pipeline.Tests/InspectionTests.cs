using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Estimates;
using SaeService.Pipeline.Inspection;
using SaeService.Sources;
using SaeService.Storage;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Pipeline.Tests;

/// <summary>A worker's side of an inspection, on a real small model with autoencoders of random weights: what is kept in memory, and what is refused.</summary>
public sealed class InspectionTests : IAsyncLifetime
{
    private const int Layers = 3, Latents = 96;

    private readonly string _folder = Directory.CreateTempSubdirectory("sae-inspection-").FullName;
    private TestDatabase _database = null!;
    private ServiceProvider _services = null!;
    private CatalogueRoots _roots = null!;
    private Guid _job;

    private string Model => Path.Combine(_folder, "models", "tiny");
    private ArtifactStore Store => _services.GetRequiredService<ArtifactStore>();
    private IDbContextFactory<SaeDbContext> Contexts => _services.GetRequiredService<IDbContextFactory<SaeDbContext>>();

    private static Task MigrateAsync(string connection, CancellationToken ct) => Migrator.MigrateAsync(connection, (_, _) => Task.CompletedTask, ct);

    public async ValueTask InitializeAsync()
    {
        var shared = SharedData.Require("data/models/stories260K");
        Directory.CreateDirectory(Model);
        foreach (var name in new[] { "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json" })
            File.Copy(Path.Combine(shared, name), Path.Combine(Model, name));
        _database = await TestCluster.CreateDatabaseAsync(MigrateAsync);
        _services = new ServiceCollection().AddSaeStorage(_database.ConnectionString).AddSaeArtifacts(Path.Combine(_folder, "artifacts")).BuildServiceProvider();
        var sources = SourceSettings.Read(_ => null);
        var hub = new HubSource(sources);
        _roots = new CatalogueRoots(new FolderRoots([Path.Combine(_folder, "models")]), new FolderRoots([]), hub, new DatasetSource(sources, hub));
        _job = await FinishedJobAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_services is not null)
        {
            await _services.DisposeAsync();
            await _database.DisposeAsync();
        }
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_text_is_answered_word_by_word_and_again_from_memory()
    {
        var worker = new WorkerOptions { Threads = 2 };
        using var warm = new WarmJobs(worker);
        var request = new InspectionRequest { Text = "Once upon a time, Lily ran.", AllFeatures = true, Top = 4 };
        var first = Inspect(warm, worker, request);
        Assert.True(warm.Holds(_job));
        Assert.Equal("next", first.LensPredicts);
        Assert.Equal(["Once", "upon", "a", "time", ",", "Lily", "ran", "."], first.Words.Select(w => w.Text));
        Assert.Equal([0, 1, 2], first.Layers.Select(l => l.Layer));
        foreach (var layer in first.Layers)
        {
            Assert.Equal(first.Tokens.Count, layer.Lens!.Count);
            Assert.All(layer.Lens, l => Assert.Equal(4, l.Top.Count));
            // Every feature with the even index 0 is about nouns, above 0.
            Assert.All(layer.Features.Where(f => f.Task is not null), f => Assert.Equal(("pos", "NOUN", 0), (f.Task, f.Label, f.Index % 2)));
            Assert.All(layer.Features, f => Assert.Equal(f.Word, first.Tokens[f.Token].Word));
        }
        Assert.Contains(first.Layers[1].Features, f => f.Task is not null);
        Assert.Contains(first.Layers[1].Features, f => f.Task is null);
        Assert.Equal(JsonSerializer.Serialize(first, Wire.Json), JsonSerializer.Serialize(Inspect(warm, worker, request), Wire.Json));
        // The model's folder is not read again.
        Directory.Move(Model, Model + "-away");
        Assert.Equal(first.Words.Count, Inspect(warm, worker, request).Words.Count);
    }

    [Fact]
    public void A_stage_that_needs_the_memory_has_it_and_the_caller_is_told()
    {
        var worker = new WorkerOptions { Threads = 2, MaxMemoryBytes = 2L << 30 };
        using var warm = new WarmJobs(worker);
        var request = new InspectionRequest { Text = "Once upon a time" };
        Inspect(warm, worker, request);
        using (warm.GiveWayTo(StageKind.Train, Estimate("train", 100 << 20)))
            Assert.True(warm.Holds(_job)); // there is room for both
        using (warm.GiveWayTo(StageKind.Train, Estimate("train", (2L << 30) - JobEstimator.RuntimeBytes - 1000)))
        {
            Assert.False(warm.Holds(_job));
            var problem = Assert.Throws<ProblemException>(() => Inspect(warm, worker, request));
            Assert.Equal(ProblemCodes.Unavailable, problem.Code);
            Assert.Contains("beside what it is at", problem.Message, StringComparison.Ordinal);
        }
        Inspect(warm, worker, request);
        // Another stage of the same job needs less.
        using (warm.GiveWayTo(StageKind.Conclude, Estimate("conclude", 1 << 20)))
            Assert.True(warm.Holds(_job));

        worker.WarmFor = TimeSpan.Zero;
        warm.GiveUpIdle();
        Assert.False(warm.Holds(_job));
    }

    [Fact]
    public void Autoencoders_beyond_the_room_are_read_anew_and_say_the_same()
    {
        var roomy = new WorkerOptions { Threads = 2 };
        using var all = new WarmJobs(roomy);
        var request = new InspectionRequest { Text = "Once upon a time" };
        var expected = JsonSerializer.Serialize(Inspect(all, roomy, request), Wire.Json);

        using var db = Contexts.CreateDbContext();
        var found = InspectedJob.Find(_job, db, Store, _roots, TestContext.Current.CancellationToken);
        using var narrow = WarmJob.Load(found, roomy, Contexts, long.MaxValue);
        var model = narrow.Bytes;
        narrow.Layer(0, long.MaxValue);
        var withOne = narrow.Bytes;
        Assert.True(withOne > model);
        Assert.Equal(expected, JsonSerializer.Serialize(Inspector.Run(narrow, request, withOne + 10), Wire.Json));
        Assert.Equal(withOne, narrow.Bytes);
        // The model alone does not fit: block by block.
        using var blocks = WarmJob.Load(InspectedJob.Find(_job, db, Store, _roots, TestContext.Current.CancellationToken), roomy, Contexts, model - 10);
        Assert.False(blocks.Model.IsResident);
        Assert.Equal(expected, JsonSerializer.Serialize(Inspector.Run(blocks, request, long.MaxValue), Wire.Json));
    }

    [Fact]
    public void What_a_text_or_a_model_can_not_be_used_for_is_named()
    {
        var worker = new WorkerOptions { Threads = 2 };
        using var warm = new WarmJobs(worker);
        var tooLong = Assert.Throws<ProblemException>(() => Inspect(warm, worker, new InspectionRequest { Text = string.Concat(Enumerable.Repeat("qzx ", 100)) }));
        Assert.Contains("a context of this job holds 63", Assert.Single(tooLong.Errors!["$.text"]), StringComparison.Ordinal);
        var outside = Assert.Throws<ProblemException>(() => Inspect(warm, worker, new InspectionRequest { Text = "a", Positions = [99] }));
        Assert.True(outside.Errors!.ContainsKey("$.positions"));

        File.AppendAllText(Path.Combine(Model, "tokenizer_config.json"), "\n");
        using var other = new WarmJobs(worker);
        var changed = Assert.Throws<ProblemException>(() => Inspect(other, worker, new InspectionRequest { Text = "a" }));
        Assert.Equal(ProblemCodes.InvalidModel, changed.Code);
        Assert.Contains("tokenizer_config.json has changed", changed.Message, StringComparison.Ordinal);
        Directory.Delete(Model, recursive: true);
        Assert.Throws<RootedPathException>(() => Inspect(other, worker, new InspectionRequest { Text = "a" }));
    }

    [Fact]
    public async Task A_word_that_is_an_attention_sink_is_left_out_at_every_layer_asked_for()
    {
        var worker = new WorkerOptions { Threads = 2 };
        var request = new InspectionRequest { Text = "Once upon a time, Lily ran.", AllFeatures = true };
        InspectionAnswer before;
        using (var warm = new WarmJobs(worker))
            before = Inspect(warm, worker, request);
        Assert.All(before.Words, w => Assert.NotEqual(InspectedWord.AttentionSink, w.NotMeasured));

        // The filters of a capture: at layer 1 every vector of a text is too long, and the others are as they may be.
        await using (var db = Contexts.CreateDbContext())
        {
            var file = Path.Combine(_folder, "filters");
            SafetensorsWriter.Write(file, [TensorSource.Of<byte>("words", DType.U8, [1], new byte[] { 1 })],
                new Dictionary<string, string> { ["limit.0"] = "1E+30", ["limit.1"] = "1E-09", ["limit.2"] = "1E+30" });
            using var writer = Store.Create(ArtifactStore.KeyOf(_job, StageKind.Capture, null, 1, Artifacts.Filters));
            writer.Stream.Write(File.ReadAllBytes(file));
            var stored = writer.Complete();
            db.Artifacts.Add(new ArtifactRow { Id = Guid.CreateVersion7(), JobId = _job, StageId = Guid.Empty, Stage = StageKind.Capture, Attempt = 1, Name = Artifacts.Filters, Key = stored.Key, Bytes = stored.Bytes, Sha256 = stored.Sha256, CreatedAt = DateTimeOffset.UtcNow });
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        using var again = new WarmJobs(worker);
        // Layer 1 itself is not asked for.
        var after = Inspect(again, worker, request with { Layers = new LayerSelection([0, 2]) });
        Assert.Equal([0, 2], after.Layers.Select(l => l.Layer));
        Assert.Equal(before.Words.Select(w => w.NotMeasured ?? InspectedWord.AttentionSink), after.Words.Select(w => w.NotMeasured));
        Assert.All(after.Layers, l => Assert.Empty(l.Features));
        Assert.Contains("at layer 1.", string.Join(' ', after.Caveats), StringComparison.Ordinal);
        // The lens is read all the same.
        Assert.All(after.Layers, l => Assert.Equal(after.Tokens.Count, l.Lens!.Count));
    }

    private InspectionAnswer Inspect(WarmJobs warm, WorkerOptions worker, InspectionRequest request)
    {
        var held = warm.Holds(_job);
        using var db = Contexts.CreateDbContext();
        return warm.Use(_job, mayHold => held ? throw new InvalidOperationException("it was in memory") : WarmJob.Load(InspectedJob.Find(_job, db, Store, _roots, TestContext.Current.CancellationToken), worker, Contexts, mayHold),
            (job, mayHold) => Inspector.Run(job, request, mayHold));
    }

    private static JobEstimate Estimate(string stage, long bytes) => new()
    {
        MemoryBytes = bytes,
        DiskBytes = 0,
        Seconds = 1,
        Tokens = 1,
        Pace = new Dictionary<string, double>(),
        Parts = new(new Dictionary<string, long> { [stage] = bytes }, new Dictionary<string, long>(), new Dictionary<string, double>()),
    };

    /// <summary>The rows and files that a finished job leaves, its autoencoders of random weights; features with an even index are consistently nouns.</summary>
    private async Task<Guid> FinishedJobAsync()
    {
        var folder = ModelFolder.Open(Model);
        var id = Guid.CreateVersion7();
        var request = new JobRequest
        {
            Model = new("tiny"),
            Dataset = new("none"),
            Tasks = ["pos"],
            Hook = "resid_post",
            ContextLength = 64,
            Seed = 0,
            Labels = new LabelSettings { SubwordPolicy = "max" },
        };
        await using var db = Contexts.CreateDbContext();
        db.Jobs.Add(new JobRow
        {
            Id = id,
            Status = JobStatus.Succeeded,
            RequestJson = JsonSerializer.Serialize(request, Wire.Json),
            ModelId = "tiny",
            DatasetId = "none",
            Layers = [.. Enumerable.Range(0, Layers)],
            CreatedAt = DateTimeOffset.UtcNow,
        });
        var provenance = new PreparedInputs
        {
            Model = new("tiny", null, "llama", "causal", folder.Description.Layers, folder.Description.DModel, "resid_post",
                [.. folder.Hashes().Select(h => new FileHash(h.Key, 0, h.Value))]),
            Data = new("none", [], "", "", "original"),
            Counts = new(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false),
            SentencesAsDocuments = false,
        };
        Publish(StageKind.Prepare, null, Artifacts.Provenance, stream => Inputs.WriteJson(stream, provenance));
        for (var layer = 0; layer < Layers; layer++)
        {
            var random = new Random(layer);
            float[] Values(int count, double scale) => [.. Enumerable.Range(0, count).Select(_ => (float)(scale * (random.NextDouble() - 0.5)))];
            var d = folder.Description.DModel;
            Publish(StageKind.Train, layer, Artifacts.SaeConfig, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(
                $$"""{"architecture":"topk","d_in":{{d}},"d_sae":{{Latents}},"k":12,"dtype":"float32","apply_b_dec_to_input":true,"normalize_activations":"none"}""")));
            var weights = Path.Combine(_folder, "weights");
            SafetensorsWriter.Write(weights,
            [
                TensorSource.Of<float>("W_enc", DType.F32, [d, Latents], Values(d * Latents, 1)), TensorSource.Of<float>("W_dec", DType.F32, [Latents, d], Values(d * Latents, 1)),
                TensorSource.Of<float>("b_enc", DType.F32, [Latents], Values(Latents, 0.1)), TensorSource.Of<float>("b_dec", DType.F32, [d], Values(d, 0.1)),
            ], new Dictionary<string, string> { ["format"] = "pt" });
            Publish(StageKind.Train, layer, Artifacts.SaeWeights, stream => stream.Write(File.ReadAllBytes(weights)));
            db.Layers.Add(new LayerRow
            {
                JobId = id,
                Layer = layer,
                Attempt = 1,
                DSae = Latents,
                K = 12,
                Fvu = 0.1,
                SaeJson = JsonSerializer.Serialize(new SaeProvenance(layer, "topk", 12, Latents, 0, 0, 0.1, 12, 0, "pass", "00"), Wire.Json),
                TrainingJson = "{}",
            });
            for (var index = 0; index < Latents; index++)
            {
                db.Features.Add(new FeatureRow { JobId = id, Layer = layer, Index = index, Density = 0.1, MaxActivation = 3, MeanActivation = 1, HistogramJson = "{}", ContextsJson = "[]", PromotedJson = "[]", SuppressedJson = "[]" });
                var summary = Summary(index);
                db.FeatureLabels.Add(new FeatureLabelRow { JobId = id, Layer = layer, Index = index, Task = "pos", Label = "NOUN", Kind = FeatureKind.Contextual, Consistent = index % 2 == 0, SummaryJson = JsonSerializer.Serialize(summary, Wire.Json) });
            }
        }
        await db.SaveChangesAsync();
        return id;

        void Publish(StageKind kind, int? layer, string name, Action<Stream> write)
        {
            using var writer = Store.Create(ArtifactStore.KeyOf(id, kind, layer, 1, name));
            write(writer.Stream);
            var stored = writer.Complete();
            db.Artifacts.Add(new ArtifactRow { Id = Guid.CreateVersion7(), JobId = id, StageId = Guid.Empty, Stage = kind, Layer = layer, Attempt = 1, Name = name, Key = stored.Key, Bytes = stored.Bytes, Sha256 = stored.Sha256, CreatedAt = DateTimeOffset.UtcNow });
        }
    }

    private static FeatureSummary Summary(int index) => new()
    {
        Index = index,
        Task = "pos",
        DominantLabel = "NOUN",
        Consistent = index % 2 == 0,
        Consistency = 0.9,
        ConsistencyLower = 0.85,
        WeightedConsistency = 0.9,
        TrainConsistency = 0.9,
        Kappa = 0.8,
        Recall = 0.5,
        F1 = 0.6,
        Mcc = 0.5,
        Auroc = null,
        Support = 50,
        Threshold = 0,
        PositiveConsistency = 0.9,
        PositiveSupport = 50,
        Sentences = 40,
        BaseRate = 0.2,
        Lift = 4,
        Log10P = -9,
        Q = 0,
        MiBits = 0.1,
        ExpectedMiBits = 0,
        Entropy = 0.1,
        LexicalDiversity = 3,
        ContextGain = 0.1,
        ContextGainCi95 = null,
        Kind = FeatureKind.Contextual,
        LabelDistribution = new Dictionary<string, int>(),
    };
}
