using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SaeService.Api.Tests;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Explorer.Tests;

/// <summary>12 layers of 24,576 features against three tasks: what GPT-2 small has.</summary>
public sealed class LargeSite : ApiFixture
{
    public const int Features = 24_576;

    private static readonly ExampleJob s_large = new("large", "much", 12,
        new("pos", [.. Enumerable.Range(0, 17).Select(i => $"POS{i}")]), new("dep", [.. Enumerable.Range(0, 40).Select(i => $"rel{i}")]), new("ner", [.. Enumerable.Range(0, 18).Select(i => $"ENT{i}")]));

    protected override bool Listens => true;
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string> { ["Access:Mode"] = "open" };

    internal Job Job { get; private set; } = null!;

    /// <summary>The layer whose features are looked at.</summary>
    internal const int Layer = 6;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Job = await s_large.MakeAsync(this);
        // The rest of the rows are copies of the first 24 of each layer with other numbers, and, where nobody looks, without what only a reader of the row wants. Each
        // refers to the job, which is there.
        await ExecuteAsync($"""
            SET session_replication_role = replica;
            INSERT INTO features (job_id, layer, index, density, max_activation, mean_activation, histogram, contexts, promoted, suppressed, promoted_tokens)
            SELECT f.job_id, f.layer, n, f.density, f.max_activation, f.mean_activation, f.histogram, '[]', '[]', '[]', f.promoted_tokens
            FROM features f JOIN generate_series(24, {Features - 1}) n ON f.index = n % 24 WHERE f.job_id = '{Job.Id}';
            INSERT INTO feature_labels (job_id, layer, index, task, label, kind, consistent, consistency, consistency_lower, f1, mcc, mi_bits, context_gain, support, summary)
            SELECT f.job_id, f.layer, n, t.task, t.prefix || hashint4(n) % t.labels, f.kind, n % 50 = 0, score, score, score, score, score / 10, 0.5 - score, 30 + n % 900,
                   CASE f.layer WHEN {Layer} THEN f.summary || jsonb_build_object('index', n, 'task', t.task, 'dominant_label', t.prefix || hashint4(n) % t.labels, 'consistent', n % 50 = 0, 'f1', score, 'support', 30 + n % 900) ELSE jsonb_build_object() END
            FROM (VALUES ('pos', 'POS', 17), ('dep', 'rel', 40), ('ner', 'ENT', 18)) t(task, prefix, labels), generate_series(24, {Features - 1}) n,
                 LATERAL (SELECT (hashint4(n * 7) & 65535) / 65536.0 AS score) s, feature_labels f
            WHERE f.job_id = '{Job.Id}' AND f.index = n % 24;
            UPDATE layers SET d_sae = {Features} WHERE job_id = '{Job.Id}';
            RESET session_replication_role
            """);
        // As Postgres does by itself within a minute of such rows.
        await ExecuteAsync("VACUUM (ANALYZE) features, feature_labels");
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(sql);
        command.CommandTimeout = 600;
        await command.ExecuteNonQueryAsync();
    }
}

public sealed class LargeJobTests(LargeSite site) : IClassFixture<LargeSite>
{
    [Fact]
    public async Task Its_pages_and_every_way_to_look_for_a_feature_are_answered()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        var features = $"/jobs/{site.Job.Id}/layers/{LargeSite.Layer}/features";
        foreach (var (name, path) in new[]
        {
            ("start", "/"), ("layers", $"/jobs/{site.Job.Id}/layers"), ("layer", $"/jobs/{site.Job.Id}/layers/{LargeSite.Layer}"), ("features", features), ("sorted by F1", $"{features}?sort=f1"),
            ("of a task", $"{features}?task=dep&sort=context_gain"), ("of a label", $"{features}?task=dep&label=rel7&consistent=true"), ("searched", $"{features}?q=rel3"),
            ("by support upwards", $"{features}?sort=support&order=asc"), ("a feature", $"{features}/20000"), ("data", $"/jobs/{site.Job.Id}/data"),
        })
        {
            await visit.GoAsync(path);
            var watch = Stopwatch.StartNew();
            await visit.GoAsync(path);
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {watch.ElapsedMilliseconds} ms");
            if (path.Contains('?', StringComparison.Ordinal))
                Assert.NotEqual(0, await visit.Page.Locator("#features tbody tr").CountAsync());
        }
        // To the end of one list, a page at a time, and back.
        await visit.GoAsync($"{features}?sort=f1&task=ner");
        var first = await visit.Page.Locator("#features tbody").InnerTextAsync();
        await visit.Page.Locator("a[rel=next]").First.ClickAsync();
        await visit.ReachAsync("**after=*");
        Assert.NotEqual(first, await visit.Page.Locator("#features tbody").InnerTextAsync());
        await visit.Page.Locator("a[rel=prev]").First.ClickAsync();
        await visit.ReachAsync(url => !url.Contains("after=", StringComparison.Ordinal));
        Assert.Equal(first, await visit.Page.Locator("#features tbody").InnerTextAsync());
        visit.AssertNothingWrong();
    }

    [Fact]
    public async Task Its_heat_map_fits_and_is_accessible()
    {
        await using var visit = await Visit.StartAsync(site.Address);
        await visit.GoAsync($"/jobs/{site.Job.Id}/layers");
        await PageTests.LooksRightAsync(visit, "large-layers");
        await visit.GoAsync($"/jobs/{site.Job.Id}/layers/{LargeSite.Layer}/features");
        await PageTests.LooksRightAsync(visit, "large-features");
        visit.AssertNothingWrong();
    }
}
