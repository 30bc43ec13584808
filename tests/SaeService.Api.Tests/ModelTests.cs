using System.Net;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class ModelTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Models_are_listed_with_the_reason_where_one_can_not_be_used()
    {
        var models = (await ApiFixture.ReadAsync<Page<Model>>(await api.Reader.GetAsync("/v1/models", Ct))).Data.ToDictionary(m => m.Id);
        Assert.Equal(["sample", "tiny", "org/nested"], models.Values.Where(m => m.Usable).Select(m => m.Id).OrderBy(x => Array.IndexOf(["sample", "tiny", "org/nested"], x)));
        Assert.Equal(("llama", 2, 16, 32, 64, 512L), (models["tiny"].Family, models["tiny"].Layers, models["tiny"].DModel, models["tiny"].VocabularySize, models["tiny"].ContextLength, models["tiny"].Parameters));
        Assert.False(models["pickle"].Usable);
        Assert.NotNull(models["damaged"].Problem);
        Assert.Equal("perceptron", models["strange"].Family);
        Assert.DoesNotContain("escape", models.Keys);
    }

    [Fact]
    public async Task A_model_is_found_by_name_and_by_path_inside_a_root_only()
    {
        Assert.Equal("org/nested", (await ApiFixture.ReadAsync<Model>(await api.Reader.GetAsync("/v1/models/org/nested", Ct))).Id);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/models/nowhere", Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/models/escape", Ct), ProblemCodes.NotFound);
        var full = Path.Combine(api.Folders.Models, "tiny").Replace("\\", "\\\\", StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync($$"""{"id":"{{full}}"}""")).StatusCode);
    }

    [Theory]
    [InlineData("tiny", null)]
    [InlineData("nowhere", ProblemCodes.UnknownModel)]
    [InlineData("EleutherAI/pythia-70m", ProblemCodes.UnknownModel)]
    [InlineData("escape", ProblemCodes.ModelOutsideRoots)]
    [InlineData("linked", ProblemCodes.ModelOutsideRoots)]
    [InlineData("pickle", ProblemCodes.PickleOnlyModel)]
    [InlineData("damaged", ProblemCodes.InvalidModel)]
    [InlineData("strange", ProblemCodes.UnsupportedModel)]
    public async Task A_model_is_checked_as_a_job_would(string id, string? code)
    {
        using var answer = await PostAsync($$"""{"id":"{{id}}"}""");
        if (code is null)
            Assert.True((await ApiFixture.ReadAsync<Model>(answer)).Usable);
        else
            await ApiFixture.ProblemAsync(answer, code);
    }

    private Task<HttpResponseMessage> PostAsync(string body) => api.Submitter.PostAsync("/v1/models", ApiFixture.Json(body), Ct);
}
