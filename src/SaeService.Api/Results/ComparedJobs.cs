using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>Two finished jobs, read for <see cref="JobComparison"/>.</summary>
public static class ComparedJobs
{
    public static async Task<(ComparedDocument Left, ComparedDocument Right)> ReadAsync(JobHead left, JobHead right, SaeDbContext db, NpgsqlDataSource database, ArtifactStore artifacts,
        CancellationToken ct) => (await ReadAsync(left, db, database, artifacts, ct), await ReadAsync(right, db, database, artifacts, ct));

    private static async Task<ComparedDocument> ReadAsync(JobHead job, SaeDbContext db, NpgsqlDataSource database, ArtifactStore artifacts, CancellationToken ct)
    {
        var document = await StoredDocument.ReadAsync(database, job, ct);
        var key = await db.Artifacts.AsNoTracking().Where(x => x.JobId == job.Id && x.Stage == StageKind.Conclude && x.Name == DocumentSums.FileName)
            .OrderByDescending(x => x.Attempt).Select(x => x.Key).FirstOrDefaultAsync(ct);
        if (key is null)
            return new(document, null);
        await using var file = artifacts.Open(key);
        return new(document, await JsonSerializer.DeserializeAsync<DocumentSums>(file, Wire.Json, ct));
    }
}
