using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace SaeService.Storage;

/// <summary>Brings a database to the schema this build expects.</summary>
public static class Migrator
{
    /// <summary>"sae" and a number: every process that migrates must use the same.</summary>
    private const long LockKey = 0x736165_0001;

    /// <summary>
    /// Applies the migrations, then <paramref name="andThen"/> (other schemas of the same database), under one session lock: any number of
    /// processes may call this at once, and calling it again changes nothing.
    /// </summary>
    /// <exception cref="NpgsqlException">The server can not be reached, or refuses.</exception>
    public static async Task MigrateAsync(string connectionString, Func<string, CancellationToken, Task>? andThen = null,
        CancellationToken cancellation = default)
    {
        // A session lock lives and dies with its connection, so this connection is not one of a pool.
        var settings = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false };
        await using var locked = new NpgsqlConnection(settings.ConnectionString);
        await locked.OpenAsync(cancellation);
        await using (var take = new NpgsqlCommand("SELECT pg_advisory_lock($1)", locked) { CommandTimeout = 0 })
        {
            take.Parameters.Add(new() { Value = LockKey });
            await take.ExecuteNonQueryAsync(cancellation);
        }
        var options = new DbContextOptionsBuilder<SaeDbContext>();
        StorageSetup.Configure(options, connectionString);
        await using (var db = new SaeDbContext(options.Options))
            await db.Database.MigrateAsync(cancellation);
        if (andThen is not null)
            await andThen(connectionString, cancellation);
    }

    /// <summary>The migrations of this build that the database does not have; empty when it is up to date.</summary>
    public static async Task<IReadOnlyList<string>> PendingAsync(SaeDbContext db, CancellationToken cancellation = default) =>
        [.. await db.Database.GetPendingMigrationsAsync(cancellation)];
}
