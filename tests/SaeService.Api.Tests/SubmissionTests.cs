using System.Net;
using System.Text;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Documentation;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class SubmissionTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<HttpResponseMessage> PostAsync(string body) => api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json(body), Ct);

    [Fact]
    public async Task A_model_and_a_data_set_are_enough_and_every_default_is_echoed()
    {
        using var answer = await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"}}""");
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        var job = await ApiFixture.ReadAsync<Job>(answer);
        Assert.Equal($"/v1/jobs/{job.Id}", answer.Headers.Location?.ToString());
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Equal(JobStatus.Queued, job.Status);
        Assert.Equal(7, job.Id.Version);

        var request = job.Request;
        Assert.Equal(["pos", "dep", "ner"], request.Tasks!);
        Assert.Equal([0, 1, 2], request.Layers!.Layers!); // two blocks and the embedding
        Assert.Equal("resid_post", request.Hook);
        Assert.Equal(64, request.ContextLength);
        Assert.Equal("train+dev", request.Dataset.Split);
        Assert.Equal(200_000, request.Dataset.MaxWords);
        Assert.Equal(("topk", 8, 128, 8, 2_000_000, 2048, 0),
            (request.Sae!.Architecture, request.Sae.Expansion, request.Sae.DSae, request.Sae.K, request.Sae.TrainTokens, request.Sae.BatchTokens, request.Sae.Seed));
        Assert.Equal(8e-3, request.Sae.LearningRate!.Value, 12); // 2e-4 / sqrt(128 / 2^14), tenfold for 977 steps, and no more than this
        Assert.Equal((30, 10, 0.05, 0.8, 0.7, 0.1, "max"), (request.Labels!.MinSupport, request.Labels.MinSentences, request.Labels.Fdr, request.Labels.ConsistencyLower,
            request.Labels.Kappa, request.Labels.MaxDrop, request.Labels.SubwordPolicy));
        Assert.Equal((20_000, "last", 1000), (request.Information!.MaxTrainWords, request.Information.SubwordPolicy, request.Information.BootstrapSamples));
        Assert.Equal("standard", request.Mode);
        Assert.Equal(0, request.Seed);
        Assert.False(request.KeepActivations);
    }

    [Fact]
    public async Task Variants_have_what_they_name_and_the_rest_of_the_first()
    {
        using var answer = await PostAsync("""
            {"model":{"id":"tiny"},"dataset":{"id":"mini"},"sae":{"k":4,"architecture":"matryoshka_batchtopk","matryoshka_widths":[32,128],"seed":7,
             "variants":[{"seed":8},{"expansion":2},{"architecture":"topk","k":5},{"d_sae":100}]}}
            """);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        var sae = (await ApiFixture.ReadAsync<Job>(answer)).Request.Sae!;
        Assert.Equal(["matryoshka_batchtopk", "matryoshka_batchtopk", "topk", "matryoshka_batchtopk"], sae.Variants!.Select(v => v.Architecture));
        Assert.Equal([(128, 4, 8), (32, 4, 7), (128, 5, 7), (100, 4, 7)], sae.Variants!.Select(v => (v.DSae!.Value, v.K!.Value, v.Seed!.Value)));
        Assert.Equal([32, 128], sae.Variants![0].MatryoshkaWidths!);
        Assert.Null(sae.Variants[1].MatryoshkaWidths);
        Assert.Null(sae.Variants[3].Expansion);
    }

    [Theory]
    [InlineData("\"model\":{\"id\":\"nowhere\"}", ProblemCodes.UnknownModel, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"\"}", ProblemCodes.UnknownModel, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"../outside/secret\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"tiny/../../outside/secret\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"escape\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"linked\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"/etc\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"/no/such/place\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\".\"}", ProblemCodes.ModelOutsideRoots, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"pickle\"}", ProblemCodes.PickleOnlyModel, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"damaged\"}", ProblemCodes.InvalidModel, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"strange\"}", ProblemCodes.UnsupportedModel, "$.model.id")]
    [InlineData("\"model\":{\"id\":\"tiny\",\"revision\":\"v2\"}", ProblemCodes.NotAvailable, "$.model.revision")]
    [InlineData("\"dataset\":{\"id\":\"nowhere\"}", ProblemCodes.UnknownDataset, "$.dataset.id")]
    [InlineData("\"dataset\":{\"id\":\"../outside/private.conllu\"}", ProblemCodes.DatasetOutsideRoots, "$.dataset.id")]
    [InlineData("\"dataset\":{\"id\":\"escape.conllu\"}", ProblemCodes.DatasetOutsideRoots, "$.dataset.id")]
    [InlineData("\"dataset\":{\"id\":\"broken.conllu\"}", ProblemCodes.InvalidDataset, "$.dataset.id")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"split\":\"test\"}", ProblemCodes.InvalidRequest, "$.dataset.split")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"split\":\"dev+dev\"}", ProblemCodes.InvalidRequest, "$.dataset.split")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"max_words\":-5}", ProblemCodes.InvalidRequest, "$.dataset.max_words")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"extra_text\":\"nowhere\"}", ProblemCodes.UnknownDataset, "$.dataset.extra_text")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"extra_text\":\"../outside/private.conllu\"}", ProblemCodes.DatasetOutsideRoots, "$.dataset.extra_text")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"extra_text\":\"sample\",\"extra_tokens\":0}", ProblemCodes.InvalidRequest, "$.dataset.extra_tokens")]
    [InlineData("\"dataset\":{\"id\":\"mini\",\"extra_tokens\":5}", ProblemCodes.InvalidRequest, "$.dataset.extra_tokens")]
    [InlineData("\"tasks\":[\"feats:Number\"]", ProblemCodes.TaskNotInDataset, "$.tasks[0]")]
    [InlineData("\"tasks\":[\"chunk\"]", ProblemCodes.TaskNotInDataset, "$.tasks[0]")]
    [InlineData("\"tasks\":[\"pos\",\"pos\"]", ProblemCodes.InvalidRequest, "$.tasks[1]")]
    [InlineData("\"tasks\":[]", ProblemCodes.InvalidRequest, "$.tasks")]
    [InlineData("\"layers\":[0,3]", ProblemCodes.LayerOutOfRange, "$.layers[1]")]
    [InlineData("\"layers\":[-1]", ProblemCodes.LayerOutOfRange, "$.layers[0]")]
    [InlineData("\"layers\":[1,1]", ProblemCodes.InvalidRequest, "$.layers[1]")]
    [InlineData("\"layers\":[]", ProblemCodes.InvalidRequest, "$.layers")]
    [InlineData("\"layers\":\"most\"", ProblemCodes.InvalidRequest, "$.layers")]
    [InlineData("\"layers\":[1.5]", ProblemCodes.InvalidRequest, "$.layers")]
    [InlineData("\"hook\":\"q_proj\"", ProblemCodes.InvalidRequest, "$.hook")]
    [InlineData("\"context_length\":65", ProblemCodes.InvalidRequest, "$.context_length")]
    [InlineData("\"context_length\":1", ProblemCodes.InvalidRequest, "$.context_length")]
    [InlineData("\"sae\":{\"k\":129}", ProblemCodes.InvalidRequest, "$.sae.k")]
    [InlineData("\"sae\":{\"k\":0}", ProblemCodes.InvalidRequest, "$.sae.k")]
    [InlineData("\"sae\":{\"architecture\":\"gated\"}", ProblemCodes.InvalidRequest, "$.sae.architecture")]
    [InlineData("\"sae\":{\"matryoshka_widths\":[64,128]}", ProblemCodes.InvalidRequest, "$.sae.matryoshka_widths")]
    [InlineData("\"sae\":{\"architecture\":\"matryoshka_batchtopk\",\"matryoshka_widths\":[64,64,128]}", ProblemCodes.InvalidRequest, "$.sae.matryoshka_widths")]
    [InlineData("\"sae\":{\"architecture\":\"matryoshka_batchtopk\",\"matryoshka_widths\":[64]}", ProblemCodes.InvalidRequest, "$.sae.matryoshka_widths")]
    [InlineData("\"sae\":{\"variants\":[{\"seed\":1},{}]}", ProblemCodes.InvalidRequest, "$.sae.variants[1]")]
    [InlineData("\"sae\":{\"variants\":[{\"seed\":1},{\"seed\":1}]}", ProblemCodes.InvalidRequest, "$.sae.variants[1]")]
    [InlineData("\"sae\":{\"variants\":[null]}", ProblemCodes.InvalidRequest, "$.sae.variants[0]")]
    [InlineData("\"sae\":{\"variants\":[{\"k\":129}]}", ProblemCodes.InvalidRequest, "$.sae.variants[0].k")]
    [InlineData("\"sae\":{\"variants\":[{\"d_sae\":2147483647}]}", ProblemCodes.InvalidRequest, "$.sae.variants[0].d_sae")]
    [InlineData("\"sae\":{\"variants\":[{\"d_sae\":64,\"expansion\":4}]}", ProblemCodes.InvalidRequest, "$.sae.variants[0].d_sae")]
    [InlineData("\"sae\":{\"path\":\"tiny\",\"variants\":[{\"seed\":1}]}", ProblemCodes.InvalidRequest, "$.sae.variants")]
    [InlineData("\"sae\":{\"expansion\":8,\"d_sae\":100}", ProblemCodes.InvalidRequest, "$.sae.d_sae")]
    [InlineData("\"sae\":{\"expansion\":1000000000}", ProblemCodes.InvalidRequest, "$.sae.expansion")]
    [InlineData("\"sae\":{\"d_sae\":2147483647}", ProblemCodes.InvalidRequest, "$.sae.d_sae")]
    [InlineData("\"sae\":{\"train_tokens\":-1}", ProblemCodes.InvalidRequest, "$.sae.train_tokens")]
    [InlineData("\"sae\":{\"train_tokens\":99999999999999999999}", ProblemCodes.InvalidRequest, "$.sae.train_tokens")]
    [InlineData("\"sae\":{\"batch_tokens\":1000000000}", ProblemCodes.InvalidRequest, "$.sae.batch_tokens")]
    [InlineData("\"sae\":{\"learning_rate\":1e300}", ProblemCodes.InvalidRequest, "$.sae.learning_rate")]
    [InlineData("\"sae\":{\"learning_rate\":\"fast\"}", ProblemCodes.InvalidRequest, "$.sae.learning_rate")]
    [InlineData("\"sae\":{\"seed\":-1}", ProblemCodes.InvalidRequest, "$.sae.seed")]
    [InlineData("\"sae\":{\"path\":\"sae-{block}\"}", ProblemCodes.InvalidRequest, "$.sae.path")] // all layers, 0 among them
    [InlineData("\"sae\":{\"path\":\"sae-1\"}", ProblemCodes.InvalidRequest, "$.sae.path")] // one for three layers
    [InlineData("\"sae\":{\"path\":\"sae-{n}\"}", ProblemCodes.InvalidRequest, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"nowhere-{layer}\"}", ProblemCodes.UnknownModel, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"../outside/sae-{layer}\"}", ProblemCodes.ModelOutsideRoots, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"linked-sae-{layer}\"}", ProblemCodes.ModelOutsideRoots, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"narrow-sae-{layer}\"}", ProblemCodes.InvalidRequest, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"gated-sae-{layer}\"}", ProblemCodes.UnsupportedModel, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"pickle-sae-{layer}\"}", ProblemCodes.PickleOnlyModel, "$.sae.path")]
    [InlineData("\"sae\":{\"path\":\"sae-{layer}\",\"k\":4,\"train_tokens\":100000}", ProblemCodes.InvalidRequest, "$.sae.train_tokens")]
    [InlineData("\"sae\":{\"path\":\"sae-{layer}\",\"id\":\"org/saes\"}", ProblemCodes.InvalidRequest, "$.sae.id")]
    [InlineData("\"sae\":{\"path\":\"sae-{layer}\",\"revision\":\"main\"}", ProblemCodes.InvalidRequest, "$.sae.revision")]
    [InlineData("\"sae\":{\"folder\":\"sae-{layer}\"}", ProblemCodes.InvalidRequest, "$.sae.folder")]
    [InlineData("\"sae\":{\"id\":\"no/such/id\",\"folder\":\"{layer}\"}", ProblemCodes.HubRefused, "$.sae.id")]
    [InlineData("\"sae\":{\"id\":\"org/saes\",\"folder\":\"{layer}\"}", ProblemCodes.HubOffline, "$.sae.id")] // not enabled here
    [InlineData("\"sae\":{\"id\":\"org/saes\",\"folder\":\"../{layer}\"}", ProblemCodes.InvalidRequest, "$.sae.folder")]
    [InlineData("\"sae\":7", ProblemCodes.InvalidRequest, "$.sae")]
    [InlineData("\"labels\":{\"fdr\":0}", ProblemCodes.InvalidRequest, "$.labels.fdr")]
    [InlineData("\"labels\":{\"kappa\":1.5}", ProblemCodes.InvalidRequest, "$.labels.kappa")]
    [InlineData("\"labels\":{\"subword_policy\":\"mean\"}", ProblemCodes.InvalidRequest, "$.labels.subword_policy")]
    [InlineData("\"information\":{\"target\":\"next\"}", ProblemCodes.InvalidRequest, "$.information.target")]
    [InlineData("\"information\":{\"bootstrap_samples\":1}", ProblemCodes.InvalidRequest, "$.information.bootstrap_samples")]
    [InlineData("\"mode\":\"brisk\"", ProblemCodes.InvalidRequest, "$.mode")]
    [InlineData("\"seed\":4294967296", ProblemCodes.InvalidRequest, "$.seed")]
    [InlineData("\"metadata\":{\"a\":7}", ProblemCodes.InvalidRequest, "$.metadata.a")]
    [InlineData("\"metadata\":{\"a\":\"nul \\u0000\"}", ProblemCodes.InvalidRequest, "$.metadata.a")]
    [InlineData("\"colour\":\"red\"", ProblemCodes.UnknownField, "$.colour")]
    [InlineData("\"sae\":{\"expanson\":8}", ProblemCodes.UnknownField, "$.sae.expanson")]
    [InlineData("\"Hook\":\"resid_post\"", ProblemCodes.UnknownField, "$.Hook")]
    [InlineData("\"model\":{}", ProblemCodes.InvalidRequest, "$.model.id")]
    [InlineData("\"model\":null", ProblemCodes.InvalidRequest, "$.model")]
    [InlineData("\"model\":{\"id\":null}", ProblemCodes.InvalidRequest, "$.model.id")]
    public async Task Bad_input_is_refused_by_name_before_anything_is_queued(string member, string code, string path)
    {
        var members = new Dictionary<string, string> { ["\"model\""] = "\"model\":{\"id\":\"tiny\"}", ["\"dataset\""] = "\"dataset\":{\"id\":\"mini\"}" };
        members[member[..member.IndexOf(':')]] = member;
        await using var db = api.Database();
        var before = await db.Jobs.CountAsync(Ct);

        using var answer = await PostAsync("{" + string.Join(',', members.Values) + "}");
        var problem = await ApiFixture.ProblemAsync(answer, code);
        Assert.Contains(path, problem.Errors!.Keys);
        Assert.Equal(before, await db.Jobs.CountAsync(Ct));
    }

    [Fact]
    public async Task Autoencoders_that_are_trained_are_named_instead_of_trained_and_nothing_is_filled_in()
    {
        using var answer = await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"layers":[1,2],"sae":{"path":"sae-{layer}"}}""");
        var job = await ApiFixture.ReadAsync<Job>(answer);
        Assert.Equal(new SaeSettings { Path = "sae-{layer}" }, job.Request.Sae);
        using var again = await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"layers":[2],"sae":{"path":"sae-{block}"}}""");
        Assert.Equal(System.Net.HttpStatusCode.Accepted, again.StatusCode);
    }

    [Fact]
    public async Task Further_columns_are_tasks_by_their_names()
    {
        using var answer = await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"tasks":["pos","lemma","dep:full","ner:bio","position","capital"]}""");
        var job = await ApiFixture.ReadAsync<Job>(answer);
        Assert.Equal(["pos", "lemma", "dep:full", "ner:bio", "position", "capital"], job.Request.Tasks!);
    }

    [Fact]
    public async Task All_that_is_wrong_is_named_at_once()
    {
        using var answer = await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini","max_words":0},"layers":[9],"sae":{"k":-1},"labels":{"fdr":2}}""");
        var problem = await ApiFixture.ProblemAsync(answer, ProblemCodes.InvalidRequest);
        Assert.Equal(["$.dataset.max_words", "$.labels.fdr", "$.layers[0]", "$.sae.k"], problem.Errors!.Keys.Order());
    }

    [Fact]
    public async Task What_is_said_names_the_place()
    {
        var broken = await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"broken.conllu"}}"""), ProblemCodes.InvalidDataset);
        Assert.Contains("line 18", broken.Detail!, StringComparison.Ordinal);
        var task = await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"tasks":["pos","mood"]}"""), ProblemCodes.TaskNotInDataset);
        Assert.Contains("pos, dep, ner", task.Detail!, StringComparison.Ordinal);
        var layer = await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"layers":[3]}"""), ProblemCodes.LayerOutOfRange);
        Assert.Contains("0 (the embedding) to 2", layer.Detail!, StringComparison.Ordinal);
        // What is outside is not told apart from what is not there.
        var there = await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"/etc/passwd"},"dataset":{"id":"mini"}}"""), ProblemCodes.ModelOutsideRoots);
        var notThere = await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"/etc/nobody"},"dataset":{"id":"mini"}}"""), ProblemCodes.ModelOutsideRoots);
        Assert.Equal(there.Detail!.Replace("passwd", "nobody", StringComparison.Ordinal), notThere.Detail);
    }

    [Theory]
    [InlineData("{\n  \"model\": {\"id\": \"tiny\"},\n  \"dataset\" }", "line 3")]
    [InlineData("", "JSON")]
    [InlineData("{\"model\":{\"id\":\"a\"},\"model\":{\"id\":\"b\"}}", "model")]
    public async Task Malformed_json_is_told_where(string body, string place)
    {
        var problem = await ApiFixture.ProblemAsync(await PostAsync(body), ProblemCodes.MalformedJson);
        Assert.Contains(place, problem.Detail!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bodies_that_are_not_json_not_utf8_or_too_large_are_refused()
    {
        using var text = await api.Submitter.PostAsync("/v1/jobs", new StringContent("{}", Encoding.UTF8, "text/plain"), Ct);
        await ApiFixture.ProblemAsync(text, ProblemCodes.UnsupportedMediaType);
        var bytes = new ByteArrayContent([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}']);
        bytes.Headers.ContentType = new("application/json");
        var problem = await ApiFixture.ProblemAsync(await api.Submitter.PostAsync("/v1/jobs", bytes, Ct), ProblemCodes.MalformedJson);
        Assert.Contains("UTF-8", problem.Detail!, StringComparison.Ordinal);
        await ApiFixture.ProblemAsync(await PostAsync("{\"hook\":\"" + new string('x', 2 << 20) + "\"}"), ProblemCodes.TooLarge);
        await ApiFixture.ProblemAsync(await PostAsync(new string('[', 100) + new string(']', 100)), ProblemCodes.MalformedJson);
    }

    [Fact]
    public async Task Metadata_is_bounded()
    {
        var many = string.Join(',', Enumerable.Range(0, 17).Select(i => $"\"k{i}\":\"v\""));
        await ApiFixture.ProblemAsync(await PostAsync("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"metadata":{""" + many + "}}"), ProblemCodes.InvalidRequest);
        var job = await api.SubmitAsync(",\"metadata\":{\"note\":\"ärger 😀\"}");
        Assert.Equal("ärger 😀", job.Metadata["note"]);
    }

    [Fact]
    public async Task More_than_the_service_may_use_is_refused_with_the_numbers()
    {
        // 131072 tokens with 4096 latents each, by token and by latent: 4 GiB, and the bound of these tests is 10^9 bytes.
        const string Request = """
            {"model":{"id":"tiny"},"dataset":{"id":"mini"},"sae":{"d_sae":4096,"k":4096,"batch_tokens":131072,"train_tokens":1000000},"context_length":64}
            """;
        var problem = await ApiFixture.ProblemAsync(await PostAsync(Request), ProblemCodes.InsufficientResources);
        Assert.Matches(@"about [\d,]+ MiB of memory \(in stage train\), and may use 953 MiB; lower sae\.d_sae .*sae\.batch_tokens", problem.Detail!);

        // Whoever only asks is told the same, with all the numbers.
        using var answer = await api.Submitter.PostAsync("/v1/jobs/estimate", ApiFixture.Json(Request), Ct);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var preview = await ApiFixture.ReadAsync<JobPreview>(answer);
        Assert.Equal(problem.Detail, preview.Refusal);
        Assert.Equal(new ResourceLimits(1_000_000_000, 10_000_000_000), preview.Limits);
        Assert.True(preview.Estimate.MemoryBytes > 4L << 30);
        Assert.Equal(preview.Estimate.MemoryBytes, preview.Estimate.Parts!.MemoryBytes["runtime"] + preview.Estimate.Parts.MemoryBytes["train"]);
    }

    [Fact]
    public async Task A_job_is_estimated_before_it_is_queued_and_carries_its_estimate()
    {
        await using var db = api.Database();
        var before = await db.Jobs.CountAsync(Ct);
        const string Body = """
            {"model":{"id":"tiny"},"dataset":{"id":"mini","split":"train"},"sae":{"train_tokens":100000},
             "webhook":{"url":"https://example.org/hook","secret":"whsec_c2VjcmV0IG9mIHRoaXMgZXhhbXBsZSwgbm90IHlvdXJz"}}
            """;
        using var answer = await api.Submitter.PostAsync("/v1/jobs/estimate", ApiFixture.Json(Body), Ct);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var text = await answer.Content.ReadAsStringAsync(Ct);
        Assert.DoesNotContain("whsec", text, StringComparison.Ordinal);
        var preview = await ApiFixture.ReadAsync<JobPreview>(answer);
        Assert.Equal(before, await db.Jobs.CountAsync(Ct));
        Assert.Equal(100_000, preview.Request.Sae!.TrainTokens);
        Assert.Null(preview.Refusal);
        // 40 of the 48 sentences are of that split, by their share of the bytes; five words and as many tokens each, and no special ones.
        Assert.InRange(preview.Estimate.Tokens!.Value, 190, 205);
        Assert.Equal(3 * 4 * 16 * preview.Estimate.Tokens.Value, preview.Estimate.Parts!.DiskBytes["activations"], 0.1 * 3 * 4 * 16 * 200);
        Assert.Equal(preview.Estimate.DiskBytes, preview.Estimate.Parts.DiskBytes.Values.Sum());
        Assert.Equal(preview.Estimate.Seconds!.Value, preview.Estimate.Parts.Seconds.Values.Sum(), 0.5);

        var job = await ApiFixture.ReadAsync<Job>(await PostAsync(Body));
        Assert.Equal(preview.Estimate.MemoryBytes, job.Estimate!.MemoryBytes);
        Assert.Equal(preview.Estimate.DiskBytes, job.Estimate.DiskBytes);

        using var unknown = await api.Submitter.PostAsync("/v1/jobs/estimate", ApiFixture.Json("""{"model":{"id":"nowhere"},"dataset":{"id":"mini"}}"""), Ct);
        await ApiFixture.ProblemAsync(unknown, ProblemCodes.UnknownModel);
        await ApiFixture.ProblemAsync(await api.Reader.PostAsync("/v1/jobs/estimate", ApiFixture.Json(Body), Ct), ProblemCodes.Forbidden);
    }

    [Fact]
    public async Task The_documented_examples_run_as_they_stand()
    {
        foreach (var (name, _, body) in ExampleFilter.Examples["SubmitJob"])
        {
            using var answer = await PostAsync(body);
            Assert.True(answer.StatusCode == HttpStatusCode.Accepted, $"{name}: {await answer.Content.ReadAsStringAsync(Ct)}");
        }
    }

    [Fact]
    public async Task An_idempotency_key_replays_refuses_another_body_and_is_each_key_s_own()
    {
        Task<HttpResponseMessage> Send(string body, HttpClient client, string key = "\"abc-1\"")
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/v1/jobs") { Content = ApiFixture.Json(body) };
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
            return client.SendAsync(request, Ct);
        }
        const string Body = """{"model":{"id":"tiny"},"dataset":{"id":"mini"},"seed":5}""";
        using var first = await Send(Body, api.Submitter);
        using var again = await Send("""{ "dataset": {"id":"mini"}, "seed": 5, "model": {"id":"tiny"} }""", api.Submitter);
        var job = await ApiFixture.ReadAsync<Job>(first);
        Assert.Equal(job.Id, (await ApiFixture.ReadAsync<Job>(again)).Id);
        Assert.Equal("true", again.Headers.GetValues("Idempotency-Replayed").Single());
        await ApiFixture.ProblemAsync(await Send(Body.Replace("5", "6", StringComparison.Ordinal), api.Submitter), ProblemCodes.IdempotencyMismatch);
        Assert.NotEqual(job.Id, (await ApiFixture.ReadAsync<Job>(await Send(Body, api.Other))).Id);
        await ApiFixture.ProblemAsync(await Send(Body, api.Submitter, "with space"), ProblemCodes.InvalidParameter);

        // A refused request leaves no trace: the key may be used for its correction.
        await ApiFixture.ProblemAsync(await Send("""{"model":{"id":"nowhere"},"dataset":{"id":"mini"}}""", api.Submitter, "abc-2"), ProblemCodes.UnknownModel);
        Assert.Equal(HttpStatusCode.Accepted, (await Send(Body, api.Submitter, "abc-2")).StatusCode);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Send(Body, api.Submitter, "abc-3")));
        Assert.All(answers, a => Assert.True(a.StatusCode is HttpStatusCode.Accepted or HttpStatusCode.Conflict));
        var made = new HashSet<Guid>();
        foreach (var accepted in answers.Where(a => a.StatusCode == HttpStatusCode.Accepted))
            made.Add((await ApiFixture.ReadAsync<Job>(accepted)).Id);
        Assert.Single(made);
    }
}
