using System.Text.Json;
using Xunit;

namespace SaeService.Storage.Tests;

public sealed class StorableTextTests
{
    [Theory]
    [InlineData("plain \\ text", "plain \\ text")]
    [InlineData("a\0b", "a\uFFFDb")]
    [InlineData("\\u0000", "\\u0000")]
    [InlineData("\\\0\\\\\0\"", "\\\uFFFD\\\\\uFFFD\"")]
    public void Nul_becomes_the_replacement_character_and_nothing_else_changes(string text, string stored)
    {
        Assert.Equal(stored, JsonSerializer.Deserialize<string>(StorableText.Json(JsonSerializer.Serialize(text))));
        Assert.Equal(stored, StorableText.Plain(text));
    }
}
