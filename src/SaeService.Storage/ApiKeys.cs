using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace SaeService.Storage;

/// <summary>
/// The keys of the interface: created, listed, revoked and recognised. A key is <c>sae_</c> and 32 random bytes in base 62; only its SHA-256
/// is stored. That needs no salt and no slow hash, for 256 random bits can not be guessed from their digest.
/// </summary>
public sealed class ApiKeys(NpgsqlDataSource database, TimeProvider? time = null)
{
    /// <summary>What a key may do; each includes the ones before.</summary>
    public static IReadOnlyList<string> Scopes { get; } = ["read", "submit", "admin"];

    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const string Start = "sae_";
    private const int RandomLength = 43; // ceil(256 / log2 62)
    private const int PrefixLength = 12;
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <returns>The row, and the key itself: this is the only time that it is seen.</returns>
    /// <exception cref="ArgumentException">The name is empty or longer than 100 characters, or the scope is not one of <see cref="Scopes"/>.</exception>
    public async Task<(ApiKeyRow Row, string Key)> CreateAsync(string name, string scope, CancellationToken ct = default)
    {
        if (string.IsNullOrWhiteSpace(name) || name.Length > 100)
            throw new ArgumentException("a key needs a name of at most 100 characters", nameof(name));
        if (!Scopes.Contains(scope))
            throw new ArgumentException($"'{scope}' is not a scope; the scopes are {string.Join(", ", Scopes)}", nameof(scope));
        var key = NewKey();
        var row = new ApiKeyRow
        {
            Id = Guid.CreateVersion7(),
            Name = name.Trim(),
            Prefix = key[..PrefixLength],
            Sha256 = Digest(key),
            Scope = scope,
            CreatedAt = _time.GetUtcNow(),
        };
        await using var command = database.CreateCommand("INSERT INTO api_keys (id, name, prefix, sha256, scope, created_at) VALUES ($1, $2, $3, $4, $5, $6)");
        foreach (var value in new object[] { row.Id, row.Name, row.Prefix, row.Sha256, row.Scope, row.CreatedAt })
            command.Parameters.AddWithValue(value);
        await command.ExecuteNonQueryAsync(ct);
        return (row, key);
    }

    /// <summary>All keys, revoked ones too, oldest first.</summary>
    public async Task<IReadOnlyList<ApiKeyRow>> ListAsync(CancellationToken ct = default)
    {
        await using var command = database.CreateCommand($"SELECT {Columns} FROM api_keys ORDER BY created_at, id");
        await using var reader = await command.ExecuteReaderAsync(ct);
        var rows = new List<ApiKeyRow>();
        while (await reader.ReadAsync(ct))
            rows.Add(Read(reader));
        return rows;
    }

    /// <summary>Ends keys from the next request on.</summary>
    /// <param name="idOrPrefix">A key's id, its shown prefix, or its name where only one live key has it.</param>
    /// <returns>The revoked key, or null where none, or more than one, matches.</returns>
    public async Task<ApiKeyRow?> RevokeAsync(string idOrPrefix, CancellationToken ct = default)
    {
        var live = (await ListAsync(ct)).Where(k => k.RevokedAt is null).ToList();
        var matches = live.Where(k => k.Id.ToString() == idOrPrefix || k.Prefix == idOrPrefix).ToList();
        if (matches.Count == 0)
            matches = live.Where(k => k.Name == idOrPrefix).ToList();
        if (matches.Count != 1)
            return null;
        matches[0].RevokedAt = _time.GetUtcNow();
        await using var command = database.CreateCommand("UPDATE api_keys SET revoked_at = $2 WHERE id = $1");
        command.Parameters.AddWithValue(matches[0].Id);
        command.Parameters.AddWithValue(matches[0].RevokedAt!.Value);
        await command.ExecuteNonQueryAsync(ct);
        return matches[0];
    }

    /// <summary>The live key that <paramref name="key"/> is, or null. Notes its use, at most once a minute.</summary>
    public async Task<ApiKeyRow?> VerifyAsync(string key, CancellationToken ct = default)
    {
        if (key.Length != Start.Length + RandomLength || !key.StartsWith(Start, StringComparison.Ordinal))
            return null;
        var digest = Digest(key);
        ApiKeyRow row;
        await using (var command = database.CreateCommand($"SELECT {Columns} FROM api_keys WHERE sha256 = $1"))
        {
            command.Parameters.AddWithValue(digest);
            await using var reader = await command.ExecuteReaderAsync(ct);
            if (!await reader.ReadAsync(ct))
                return null;
            row = Read(reader);
        }
        if (row.RevokedAt is not null || !CryptographicOperations.FixedTimeEquals(row.Sha256, digest))
            return null;
        var now = _time.GetUtcNow();
        if (row.LastUsedAt is null || now - row.LastUsedAt > TimeSpan.FromMinutes(1))
        {
            await using var command = database.CreateCommand("UPDATE api_keys SET last_used_at = $2 WHERE id = $1");
            command.Parameters.AddWithValue(row.Id);
            command.Parameters.AddWithValue(now);
            await command.ExecuteNonQueryAsync(ct);
        }
        return row;
    }

    private const string Columns = "id, name, prefix, sha256, scope, created_at, last_used_at, revoked_at";

    private static ApiKeyRow Read(NpgsqlDataReader row) => new()
    {
        Id = row.GetGuid(0),
        Name = row.GetString(1),
        Prefix = row.GetString(2),
        Sha256 = row.GetFieldValue<byte[]>(3),
        Scope = row.GetString(4),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(5),
        LastUsedAt = row.IsDBNull(6) ? null : row.GetFieldValue<DateTimeOffset>(6),
        RevokedAt = row.IsDBNull(7) ? null : row.GetFieldValue<DateTimeOffset>(7),
    };

    private static byte[] Digest(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    private static string NewKey()
    {
        var value = new BigInteger(RandomNumberGenerator.GetBytes(32), isUnsigned: true);
        var characters = new char[RandomLength];
        for (var i = RandomLength - 1; i >= 0; i--)
        {
            value = BigInteger.DivRem(value, Alphabet.Length, out var digit);
            characters[i] = Alphabet[(int)digit];
        }
        return Start + new string(characters);
    }
}
