using System.CommandLine;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary><c>sae migrate</c> and <c>sae keys</c>: what whoever runs the service does to its database.</summary>
public static class OperatorCommands
{
    private static readonly Option<string?> s_database = new("--database")
    {
        Description = "Connection string (ConnectionStrings__Default)",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("ConnectionStrings__Default"),
        Recursive = true,
    };

    private static string Database(ParseResult parsed) => parsed.GetValue(s_database) is { Length: > 0 } named
        ? named
        : throw new CliException("which database? Give --database or set ConnectionStrings__Default");

    public static Command Migrate()
    {
        var json = Json("Print a JSON object");
        var command = new Command("migrate", "Bring the database's tables, and Hangfire's, to this version") { s_database, json };
        command.SetAction(async (parsed, ct) =>
        {
            var connection = Database(parsed);
            var applied = await PendingAsync(connection, ct);
            await HangfireSetup.MigrateAsync(connection, ct);
            if (parsed.GetValue(json))
                Print(new { UpToDate = true, Applied = applied });
            else
                Console.WriteLine("the database is up to date");
            return 0;
        });
        return command;
    }

    public static Command Keys()
    {
        var name = new Option<string>("--name") { Description = "Whose key it is", Required = true };
        var scope = new Option<string>("--scope") { Description = "read, submit or admin; each includes the ones before", DefaultValueFactory = _ => "submit" };
        scope.AcceptOnlyFromAmong([.. ApiKeys.Scopes]);
        var createJson = Json("Print a JSON object, the key in it");
        var create = new Command("create", "Make a key and print it: the only time that it is shown") { name, scope, createJson };
        create.SetAction((parsed, ct) => WithKeysAsync(parsed, async keys =>
        {
            try
            {
                var (row, key) = await keys.CreateAsync(parsed.GetValue(name)!, parsed.GetValue(scope)!, ct);
                if (parsed.GetValue(createJson))
                {
                    Print(new { row.Id, row.Prefix, row.Name, row.Scope, row.CreatedAt, Key = key });
                    return;
                }
                await Console.Error.WriteLineAsync($"key {row.Prefix}… of '{row.Name}', scope {row.Scope}; it is not stored, keep it:");
                Console.WriteLine(key);
            }
            catch (ArgumentException e)
            {
                throw new CliException(e.Message, e);
            }
        }));
        var json = Json("Print a JSON array");
        var list = new Command("list", "All keys, revoked ones too") { json };
        list.SetAction((parsed, ct) => WithKeysAsync(parsed, async keys =>
        {
            var all = await keys.ListAsync(ct);
            if (parsed.GetValue(json))
            {
                Print(all.Select(Shown));
                return;
            }
            var table = Screen.Table().AddColumns("prefix", "name", "scope", "created", "last used", "revoked");
            foreach (var key in all)
                table.AddRow(key.Prefix, Markup.Escape(key.Name), key.Scope, $"{key.CreatedAt:u}", $"{key.LastUsedAt:u}", $"{key.RevokedAt:u}");
            AnsiConsole.Write(table);
        }));
        var which = new Argument<string>("key") { Description = "The key's prefix, id or name" };
        var revokeJson = Json("Print a JSON object");
        var revoke = new Command("revoke", "End a key") { which, revokeJson };
        revoke.SetAction((parsed, ct) => WithKeysAsync(parsed, async keys =>
        {
            var revoked = await keys.RevokeAsync(parsed.GetValue(which)!, ct)
                ?? throw new CliException($"no live key, or more than one, is meant by '{parsed.GetValue(which)}'");
            if (parsed.GetValue(revokeJson))
                Print(Shown(revoked));
            else
                Console.WriteLine($"revoked {revoked.Prefix}… of '{revoked.Name}'");
        }));
        return new Command("keys", "API keys") { create, list, revoke, s_database };
    }

    private static Option<bool> Json(string description) => new("--json") { Description = description };

    private static void Print(object shown) => Console.WriteLine(JsonSerializer.Serialize(shown, Wire.IndentedJson));

    private static object Shown(ApiKeyRow key) => new { key.Id, key.Prefix, key.Name, key.Scope, key.CreatedAt, key.LastUsedAt, key.RevokedAt };

    private static async Task<string[]> PendingAsync(string connection, CancellationToken ct)
    {
        var options = new DbContextOptionsBuilder<SaeDbContext>();
        StorageSetup.Configure(options, connection);
        await using var db = new SaeDbContext(options.Options);
        return [.. await Migrator.PendingAsync(db, ct)];
    }

    private static async Task<int> WithKeysAsync(ParseResult parsed, Func<ApiKeys, Task> act)
    {
        await using var database = NpgsqlDataSource.Create(Database(parsed));
        await act(new ApiKeys(database));
        return 0;
    }
}
