using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class EntityTagsTests
{
    private const string Expected = "B-PER I-PER O B-LOC B-LOC I-LOC B-ORG";

    [Theory]
    [InlineData("I-PER I-PER O I-LOC B-LOC I-LOC I-ORG", "Iob1")]
    [InlineData("B-PER I-PER O B-LOC B-LOC I-LOC B-ORG", "Iob2")]
    [InlineData("B-PER E-PER O S-LOC B-LOC E-LOC S-ORG", "Iobes")]
    [InlineData("B-PER L-PER O U-LOC B-LOC L-LOC U-ORG", "Bilou")]
    public void Every_scheme_becomes_IOB2(string tags, string scheme)
    {
        string?[] written = tags.Split(' ');
        Assert.True(EntityTags.ToIob2(written) < 0, scheme);
        Assert.Equal(Expected.Split(' '), written);
        Assert.Equal("PER PER O LOC LOC LOC ORG".Split(' '), written.Select(EntityTags.TypeOf));
    }

    [Fact]
    public void Types_with_hyphens_plain_types_and_gaps()
    {
        string?[] tags = ["B-creative-work", "I-creative-work", "person", "person", null, "I-person", "O"];
        Assert.Equal(-1, EntityTags.ToIob2(tags));
        Assert.Equal(["B-creative-work", "I-creative-work", "B-person", "I-person", null, "B-person", "O"], tags);
    }

    [Theory]
    [InlineData("O B-")]
    [InlineData("O B")]
    [InlineData("O ")]
    public void A_tag_without_a_type_is_found(string tags) => Assert.Equal(1, EntityTags.ToIob2((string?[])tags.Split(' ')));
}
