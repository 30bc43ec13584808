using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae migrate</c> and <c>sae keys</c>, for programs.</summary>
public sealed class OperatorTests
{
    private static async Task<JsonNode> SaeAsync(TestDatabase database, params string[] arguments)
    {
        await using var command = SaeCommand.Start(SaeCommand.NewHome(), [.. arguments, "--json", "--database", database.ConnectionString]);
        var status = await command.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(status == 0, command.Output);
        return JsonNode.Parse(command.Output)!;
    }

    [Fact]
    public async Task A_database_is_migrated_and_a_key_made_and_ended_with_every_answer_as_JSON()
    {
        await using var database = await TestCluster.CreateEmptyDatabaseAsync();
        var first = await SaeAsync(database, "migrate");
        Assert.True(first["up_to_date"]!.GetValue<bool>());
        Assert.Contains("First", string.Join(' ', first["applied"]!.AsArray().Select(x => x!.GetValue<string>())), StringComparison.Ordinal);
        Assert.Empty((await SaeAsync(database, "migrate"))["applied"]!.AsArray());

        var made = await SaeAsync(database, "keys", "create", "--name", "me", "--scope", "read");
        Assert.StartsWith(made["prefix"]!.GetValue<string>(), made["key"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal(("me", "read"), (made["name"]!.GetValue<string>(), made["scope"]!.GetValue<string>()));
        var ended = await SaeAsync(database, "keys", "revoke", "me");
        Assert.Equal(made["id"]!.GetValue<string>(), ended["id"]!.GetValue<string>());
        Assert.NotNull(Assert.Single((await SaeAsync(database, "keys", "list")).AsArray())!["revoked_at"]);
    }
}
