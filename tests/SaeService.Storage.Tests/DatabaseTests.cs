using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SaeService.Contracts;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Storage.Tests;

public sealed class DatabaseTests
{
    [Fact]
    public async Task Many_migrators_at_once_make_one_schema_and_the_model_matches_it()
    {
        await using var database = await TestCluster.CreateEmptyDatabaseAsync();
        var inside = 0;
        var most = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Migrator.MigrateAsync(database.ConnectionString, async (_, ct) =>
        {
            most = Math.Max(most, Interlocked.Increment(ref inside));
            await Task.Delay(20, ct);
            Interlocked.Decrement(ref inside);
        })));
        Assert.Equal(1, most);

        await using var db = Open(database);
        Assert.Empty(await Migrator.PendingAsync(db, TestContext.Current.CancellationToken));
        Assert.False(db.Database.HasPendingModelChanges());
    }

    [Fact]
    public async Task Registered_services_give_contexts_on_the_database()
    {
        await using var database = await TestCluster.CreateDatabaseAsync(MigrateAsync);
        await using var services = new ServiceCollection().AddSaeStorage(database.ConnectionString).BuildServiceProvider();
        await using var scope = services.CreateAsyncScope();
        Assert.Equal(0, await scope.ServiceProvider.GetRequiredService<SaeDbContext>().Jobs.CountAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Copied_rows_replace_those_of_their_layer_and_read_back_equal()
    {
        await using var database = await TestCluster.CreateDatabaseAsync(MigrateAsync);
        await using var db = Open(database);
        var job = await AddJobAsync(db);
        await InTransactionAsync(db, async () =>
        {
            await RowCopy.ReplaceAsync(db, job, 0, [Feature(0, 0), Feature(0, 7)], default);
            await RowCopy.ReplaceAsync(db, job, 1, [Feature(1, 5)], default);
        });
        await InTransactionAsync(db, async () =>
        {
            await RowCopy.ReplaceAsync(db, job, 0, [Feature(0, 3)], default);
            await RowCopy.ReplaceAsync(db, job, 0, [FeatureLabel(0, 3, "pos"), FeatureLabel(0, 3, "ner")], default);
            await RowCopy.ReplaceAsync(db, job, 0,
                [new CellRow { Task = "pos", Label = "NOUN", Status = CellStatus.Suggestive, UnionF1 = 0.5, Support = 9 }], default);
            await RowCopy.ReplaceAsync(db, job, 0, [new ProbeRow { Task = "pos", IvBits = 1.5, MacroF1 = 0.25, InformationJson = "{}" }], default);
            await RowCopy.ReplaceAsync(
                db, new LayerRow { JobId = job, Layer = 0, Attempt = 1, DSae = 64, K = 4, Fvu = 0.1, SaeJson = "{}", TrainingJson = "{}" }, default);
            await RowCopy.ReplaceAsync(
                db, new LayerRow { JobId = job, Layer = 0, Attempt = 2, DSae = 64, K = 4, Fvu = 0.2, SaeJson = "{}", TrainingJson = "{}" }, default);
        });

        var features = await db.Features.AsNoTracking().OrderBy(x => x.Layer).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal([(0, 3), (1, 5)], features.Select(x => (x.Layer, x.Index)));
        Assert.Equal((0.25, 2f, 1f), (features[0].Density, features[0].MaxActivation, features[0].MeanActivation));
        Assert.Equal(("[]", null, "a\uFFFD"), (features[0].IntervalsJson, features[0].LabelHistogramsJson, features[0].PromotedTokens));
        Assert.Equal("a\uFFFD", JsonSerializer.Deserialize<string[]>(features[0].PromotedJson)![0]);
        var labels = await db.FeatureLabels.AsNoTracking().OrderBy(x => x.Task).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["ner", "pos"], labels.Select(x => x.Task));
        Assert.Equal((FeatureKind.Contextual, true, 0.9, 0.85, 0.7, 0.6, 0.125, -0.5, 42),
            (labels[0].Kind, labels[0].Consistent, labels[0].Consistency, labels[0].ConsistencyLower,
                labels[0].F1, labels[0].Mcc, labels[0].MiBits, labels[0].ContextGain, labels[0].Support));
        Assert.Equal(CellStatus.Suggestive, (await db.Cells.SingleAsync(TestContext.Current.CancellationToken)).Status);
        Assert.Equal(1.5, (await db.Probes.SingleAsync(TestContext.Current.CancellationToken)).IvBits);
        Assert.Equal(2, (await db.Layers.AsNoTracking().SingleAsync(TestContext.Current.CancellationToken)).Attempt);
    }

    [Fact]
    public async Task A_copy_that_fails_or_has_no_transaction_changes_nothing()
    {
        await using var database = await TestCluster.CreateDatabaseAsync(MigrateAsync);
        await using var db = Open(database);
        var job = await AddJobAsync(db);
        await InTransactionAsync(db, () => RowCopy.ReplaceAsync(db, job, 0, [Feature(0, 1)], default));

        await Assert.ThrowsAsync<InvalidOperationException>(() => RowCopy.ReplaceAsync(db, job, 0, [Feature(0, 2)], TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<PostgresException>(
            () => InTransactionAsync(db, () => RowCopy.ReplaceAsync(db, job, 0, [Feature(0, 2), Feature(0, 2)], default)));
        Assert.Equal(1, (await db.Features.AsNoTracking().SingleAsync(TestContext.Current.CancellationToken)).Index);
    }

    private static Task MigrateAsync(string connectionString, CancellationToken cancellation) => Migrator.MigrateAsync(connectionString, null, cancellation);

    private static SaeDbContext Open(TestDatabase database)
    {
        var options = new DbContextOptionsBuilder<SaeDbContext>();
        StorageSetup.Configure(options, database.ConnectionString);
        return new SaeDbContext(options.Options);
    }

    private static async Task InTransactionAsync(SaeDbContext db, Func<Task> work)
    {
        await using var transaction = await db.Database.BeginTransactionAsync();
        await work();
        await transaction.CommitAsync();
    }

    private static async Task<Guid> AddJobAsync(SaeDbContext db)
    {
        var now = TimeProvider.System.GetUtcNow();
        var job = new JobRow { Id = Guid.CreateVersion7(), RequestJson = "{}", ModelId = "m", DatasetId = "d", Layers = [0, 1], CreatedAt = now };
        db.Jobs.Add(job);
        await db.SaveChangesAsync();
        return job.Id;
    }

    private static FeatureRow Feature(int layer, int index) => new()
    {
        Layer = layer,
        Index = index,
        Density = 0.25,
        MaxActivation = 2,
        MeanActivation = 1,
        HistogramJson = "{}",
        ContextsJson = "[]",
        PromotedJson = JsonSerializer.Serialize(new[] { "a\0" }),
        SuppressedJson = "[]",
        IntervalsJson = "[]",
        PromotedTokens = "a\0",
    };

    private static FeatureLabelRow FeatureLabel(int layer, int index, string task) => new()
    {
        Layer = layer,
        Index = index,
        Task = task,
        Label = "NOUN",
        Kind = FeatureKind.Contextual,
        Consistent = true,
        Consistency = 0.9,
        ConsistencyLower = 0.85,
        F1 = 0.7,
        Mcc = 0.6,
        MiBits = 0.125,
        ContextGain = -0.5,
        Support = 42,
        SummaryJson = "{}",
    };
}
