using Npgsql;

namespace SaeService.Cli;

/// <summary>The database that <c>docker compose up postgres</c> publishes on loopback.</summary>
public static class ComposeDatabase
{
    public static async Task<string?> FindAsync(CancellationToken ct)
    {
        var connectionString = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = 54329,
            Database = "sae",
            Username = "sae",
            Password = Environment.GetEnvironmentVariable("SAE_DB_PASSWORD") ?? "sae",
            Timeout = 1,
        }.ConnectionString;
        try
        {
            await using var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync(ct);
            return connectionString;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            return null;
        }
    }
}
