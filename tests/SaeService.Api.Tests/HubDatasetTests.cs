using System.Net;
using System.Text;
using SaeService.Contracts;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>Data sets that can be fetched, as the interface has them before they are.</summary>
public sealed class HubDatasetTests(HubApiFixture api) : IClassFixture<HubApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<HttpResponseMessage> PostAsync(string dataset, string members = "") =>
        api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json($$$"""{"model":{"id":"tiny"},"dataset":{{{dataset}}}{{{members}}}}"""), Ct);

    [Fact]
    public async Task The_catalogue_is_listed_with_its_licences_before_anything_is_fetched()
    {
        var listed = (await ApiFixture.ReadAsync<Page<Dataset>>(await api.Reader.GetAsync("/v1/datasets", Ct))).Data.ToDictionary(d => d.Id);
        var uner = listed["ewt-uner"];
        Assert.Equal(("catalogue", false, "CC BY-SA 4.0", null), (uner.Source, uner.Fetched, uner.Licence, uner.Format));
        Assert.Equal(["train", "dev", "test"], uner.Splits);
        Assert.Equal(["pos", "dep", "ner"], uner.DeclaredTasks!);
        Assert.True(listed["mini"].Fetched);
        Assert.Equal(uner.Revision, (await ApiFixture.ReadAsync<Dataset>(await api.Reader.GetAsync("/v1/datasets/ewt-uner", Ct))).Revision);
        // Reading asks nobody.
        var before = api.Hub.Requests.Count;
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/datasets/org/unknown", Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/datasets/ud:Latin-Tiny", Ct), ProblemCodes.NotFound);
        Assert.Equal(before, api.Hub.Requests.Count);
    }

    [Fact]
    public async Task A_job_on_an_entry_is_pinned_and_checked_against_what_the_entry_promises()
    {
        using var answer = await PostAsync("""{"id":"ewt-uner"}""");
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        var job = await ApiFixture.ReadAsync<Job>(answer);
        // How many tokens it has is known once it is here.
        Assert.Equal((null, null, null), (job.Estimate!.MemoryBytes, job.Estimate.DiskBytes, job.Estimate.Seconds));
        Assert.Contains("'ewt-uner' is fetched when the job is prepared", job.Estimate.Reason!, StringComparison.Ordinal);
        var request = job.Request;
        Assert.Equal(("train+dev+test", 40), (request.Dataset.Split, request.Dataset.Revision!.Length));
        Assert.Equal(["pos", "dep", "ner"], request.Tasks!);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"wnut17"}""", ""","tasks":["pos"]"""), ProblemCodes.TaskNotInDataset);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"wnut17","split":"all"}"""), ProblemCodes.InvalidRequest);
        Assert.Contains("$.dataset.revision", (await ApiFixture.ProblemAsync(await PostAsync("""{"id":"wnut17","revision":"main"}"""), ProblemCodes.UnknownDataset)).Errors!.Keys);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"mini","revision":"main"}"""), ProblemCodes.NotAvailable);
    }

    [Fact]
    public async Task A_data_set_of_the_hub_needs_its_tasks_named_until_it_is_here()
    {
        var repo = api.Hub.Add("datasets/org/tagged@main", new FakeRepo(FakeHub.CommitOf(51)) { Licence = "mit" })
            .With("train.conllu", TestFolders.Conllu(40)).With("dev.conllu", TestFolders.Conllu(8, 1000));
        Assert.Contains("$.tasks", (await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/tagged"}"""), ProblemCodes.InvalidRequest)).Errors!.Keys);
        var request = (await ApiFixture.ReadAsync<Job>(await PostAsync("""{"id":"org/tagged"}""", ""","tasks":["pos"]"""))).Request;
        Assert.Equal(new DatasetReference("org/tagged", "train+dev", 200_000, Revision: repo.Commit), request.Dataset);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/tagged"}""", ""","tasks":["POS tags"]"""), ProblemCodes.InvalidRequest);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/tagged","split":"test"}""", ""","tasks":["pos"]"""), ProblemCodes.InvalidRequest);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/absent"}"""), ProblemCodes.UnknownDataset);

        // A worker has fetched it, into a cache that this process shares.
        var sources = (Sources.DatasetSource)api.Services.GetService(typeof(Sources.DatasetSource))!;
        using (await sources.FetchAsync("org/tagged", repo.Commit, null, null, Ct)) { }
        var counted = (await ApiFixture.ReadAsync<Job>(await PostAsync("""{"id":"org/tagged"}"""))).Request;
        Assert.Equal(["pos", "dep", "ner"], counted.Tasks!);
        await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/tagged"}""", ""","tasks":["xpos"]"""), ProblemCodes.TaskNotInDataset);
    }

    [Fact]
    public async Task Text_is_annotated_where_there_is_an_annotator()
    {
        // One that tags every sentence alike, by UDPipe's protocol.
        api.Hub.Intercept = async (context, _) =>
        {
            if (context.Request.Path != "/udpipe/process")
                return false;
            var form = await context.Request.ReadFormAsync(Ct);
            var sentences = form["data"].ToString().Split('.', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Length;
            await Results(context, System.Text.Json.JsonSerializer.Serialize(new
            {
                model = "toy",
                result = "# newdoc\n" + string.Concat(Enumerable.Repeat(
                "# sent_id = 1\n# text = Dogs see.\n1\tDogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\tsee\tsee\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n3\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\n\n", sentences))
            }));
            return true;
        };
        try
        {
            using var body = new ByteArrayContent(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("Dogs see. ", 30))));
            body.Headers.ContentType = new("text/plain");
            using var answer = await api.Submitter.PutAsync("/v1/datasets/plain?format=annotate", body, Ct);
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
            var dataset = await ApiFixture.ReadAsync<Dataset>(answer);
            Assert.Equal(("conllu", 30, 90), (dataset.Format, dataset.Sentences, dataset.Words));
            Assert.Contains("toy", dataset.Warnings[0], StringComparison.Ordinal);
            Assert.Equal(["pos", "dep"], dataset.Tasks.Select(t => t.Task).Where(t => t is "pos" or "dep"));
            Assert.Single(Directory.GetFiles(Path.Combine(api.Folders.Artifacts, "datasets"), "plain*", SearchOption.AllDirectories));
        }
        finally
        {
            api.Hub.Intercept = null;
        }
        using var failing = new ByteArrayContent("Dogs see."u8.ToArray());
        failing.Headers.ContentType = new("text/plain");
        await ApiFixture.ProblemAsync(await api.Submitter.PutAsync("/v1/datasets/plain2?format=annotate", failing, Ct), ProblemCodes.UnknownDataset);
        Assert.Empty(Directory.GetFiles(Path.Combine(api.Folders.Artifacts, "datasets"), "plain2*", SearchOption.AllDirectories));

        static async Task Results(Microsoft.AspNetCore.Http.HttpContext context, string json) => await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(json), Ct);
    }
}
