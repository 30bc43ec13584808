using System.Net;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using SaeService.Api.Datasets;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class DatasetTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<HttpResponseMessage> PutAsync(string name, byte[] body, HttpClient? client = null) => (client ?? api.Submitter).PutAsync("/v1/datasets/" + name, Body(body), Ct);

    private static ByteArrayContent Body(byte[] bytes)
    {
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new("text/plain");
        return content;
    }

    private string[] StoredFiles() => Directory.Exists(Path.Combine(api.Folders.Artifacts, "datasets"))
        ? Directory.GetFiles(Path.Combine(api.Folders.Artifacts, "datasets"), "*", SearchOption.AllDirectories) : [];

    [Fact]
    public async Task An_upload_is_understood_listed_used_replaced_and_deleted()
    {
        var bytes = Encoding.UTF8.GetBytes(TestFolders.Conllu(30));
        using var made = await PutAsync("mine", bytes);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        Assert.Equal("/v1/datasets/mine", made.Headers.Location?.ToString());
        var dataset = await ApiFixture.ReadAsync<Dataset>(made);
        Assert.Equal(("upload", "conllu", 30, 150, 10, (long)bytes.Length), (dataset.Source, dataset.Format, dataset.Sentences, dataset.Words, dataset.Documents, dataset.Bytes));
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)), dataset.Sha256);
        var pos = dataset.Tasks.Single(t => t.Task == "pos");
        Assert.Equal(30, pos.Labels["NOUN"]);
        Assert.Equal(Math.Log2(5), pos.EntropyBits, 9); // five labels, equally often
        Assert.Contains(dataset.Aliases, a => a.Jaccard == 1);

        Assert.Contains((await ListAsync(api.Submitter)).Data, d => d.Id == "mine");
        Assert.Equal(dataset.Sha256, (await ApiFixture.ReadAsync<Dataset>(await api.Submitter.GetAsync("/v1/datasets/mine", Ct))).Sha256);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync("mine", Encoding.UTF8.GetBytes(TestFolders.Conllu(9)))).StatusCode);
        Assert.Single(StoredFiles(), f => f.Contains("mine", StringComparison.Ordinal)); // the old file has gone

        var job = await ApiFixture.ReadAsync<Job>(await api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json("""{"model":{"id":"tiny"},"dataset":{"id":"mine"}}"""), Ct));
        await ApiFixture.ProblemAsync(await api.Submitter.DeleteAsync("/v1/datasets/mine", Ct), ProblemCodes.Conflict);
        await ApiFixture.ProblemAsync(await PutAsync("mine", bytes), ProblemCodes.Conflict);
        await api.Submitter.PostAsync(job.Urls.Cancel, null, Ct);
        Assert.Equal(HttpStatusCode.NoContent, (await api.Submitter.DeleteAsync("/v1/datasets/mine", Ct)).StatusCode);
        Assert.DoesNotContain(StoredFiles(), f => f.Contains("mine", StringComparison.Ordinal));
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync("/v1/datasets/mine", Ct), ProblemCodes.NotFound);
    }

    [Theory]
    [InlineData("hub-ner-train.parquet", "parquet", 5)]
    [InlineData("rust-v2-zstd.parquet", "parquet", 40)]
    public async Task Parquet_is_understood_whatever_it_is_called(string fixture, string format, int sentences)
    {
        var bytes = await File.ReadAllBytesAsync(Path.Combine(SharedData.RepositoryRoot, "tests", "SaeService.Corpora.Tests", "Fixtures", fixture), Ct);
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new("application/vnd.apache.parquet");
        using var made = await api.Submitter.PutAsync("/v1/datasets/parquet-" + sentences, content, Ct);
        var dataset = await ApiFixture.ReadAsync<Dataset>(made);
        Assert.Equal((format, sentences), (dataset.Format, dataset.Sentences));
        Assert.NotEmpty(dataset.Tasks);
    }

    [Fact]
    public async Task Json_compressed_with_columns_to_ask_for_and_text_to_train_on()
    {
        var rows = string.Join(",\n", Enumerable.Range(0, 40).Select(i => $$"""{"doc":"d{{i}}","tokens":["if","x{{i % 3}}"],"kind":["keyword","name"]}"""));
        using var packed = new MemoryStream();
        await using (var gzip = new System.IO.Compression.GZipStream(packed, System.IO.Compression.CompressionLevel.Fastest, leaveOpen: true))
            await gzip.WriteAsync(Encoding.UTF8.GetBytes($"[{rows}]"), Ct);
        var code = await ApiFixture.ReadAsync<Dataset>(await PutAsync("code", packed.ToArray()));
        Assert.Equal(("json", 80), (code.Format, code.Words));
        Assert.Empty(code.Tasks);
        Assert.Equal(["kind", "frequency", "position", "sentence-final"], code.FurtherTasks.Select(t => t.Task));
        Assert.Equal(new("kind", 80, 2, false), code.FurtherTasks[0]);
        var text = await ApiFixture.ReadAsync<Dataset>(await PutAsync("stories", "Once upon a time.\n\nThe end.\n"u8.ToArray()));
        Assert.Equal(("text", 2, 0), (text.Format, text.Sentences, text.Words));

        // Without a task of its own the columns have to be named; text has none.
        async Task<HttpResponseMessage> SubmitAsync(string dataset, string more) =>
            await api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json($$"""{"model":{"id":"tiny"},"dataset":{{dataset}}{{more}}}"""), Ct);
        Assert.Contains("name some in $.tasks: kind", (await ApiFixture.ProblemAsync(await SubmitAsync("""{"id":"code"}""", ""), ProblemCodes.InvalidDataset)).Detail!, StringComparison.Ordinal);
        Assert.Contains("without labels", (await ApiFixture.ProblemAsync(await SubmitAsync("""{"id":"stories"}""", ""), ProblemCodes.InvalidDataset)).Detail!, StringComparison.Ordinal);
        var job = await ApiFixture.ReadAsync<Job>(await SubmitAsync("""{"id":"code","extra_text":"stories"}""", ""","tasks":["kind","position"]"""));
        Assert.Equal(["kind", "position"], job.Request.Tasks!);
        Assert.Equal(("stories", 200_000), (job.Request.Dataset.ExtraText, job.Request.Dataset.ExtraTokens));
        await api.Submitter.PostAsync(job.Urls.Cancel, null, Ct);
    }

    [Fact]
    public async Task An_upload_is_its_key_s_own()
    {
        await PutAsync("private", Encoding.UTF8.GetBytes(TestFolders.Conllu(9)));
        await ApiFixture.ProblemAsync(await api.Other.GetAsync("/v1/datasets/private", Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Other.DeleteAsync("/v1/datasets/private", Ct), ProblemCodes.NotFound);
        Assert.DoesNotContain((await ListAsync(api.Other)).Data, d => d.Id == "private");
        Assert.Equal(HttpStatusCode.Created, (await PutAsync("private", Encoding.UTF8.GetBytes(TestFolders.Conllu(6)), api.Other)).StatusCode);
        Assert.Equal(9, (await ApiFixture.ReadAsync<Dataset>(await api.Submitter.GetAsync("/v1/datasets/private", Ct))).Sentences);
    }

    public static TheoryData<string, byte[], string, string> BadUploads()
    {
        var good = TestFolders.Conllu(2);
        return new()
        {
            { "empty", [], ProblemCodes.InvalidDataset, "empty" },
            { "latin1", [.. Encoding.UTF8.GetBytes(good), .. "1\tcaf"u8, 0xe9, .. "\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n"u8], ProblemCodes.InvalidDataset, "line 18" },
            { "short", Encoding.UTF8.GetBytes(good + "1\tonly\tthree\n\n"), ProblemCodes.InvalidDataset, "line 18" },
            { "head", Encoding.UTF8.GetBytes(good + "1\ta\ta\tNOUN\t_\t_\t9\tobj\t_\t_\n\n"), ProblemCodes.InvalidDataset, "head 9 of word 1" },
            { "noise", [.. Enumerable.Range(0, 500).Select(i => (byte)(i * 37))], ProblemCodes.InvalidDataset, "" },
            { "large", new byte[100_001], ProblemCodes.TooLarge, "100000" },
        };
    }

    [Theory]
    [MemberData(nameof(BadUploads))]
    public async Task What_is_not_understood_leaves_nothing(string name, byte[] body, string code, string says)
    {
        var problem = await ApiFixture.ProblemAsync(await api.Submitter.PutAsync($"/v1/datasets/bad-{name}{(name is "empty" or "noise" or "large" ? "" : "?format=conllu")}", Body(body), Ct), code);
        Assert.Contains(says, problem.Detail!, StringComparison.Ordinal);
        Assert.DoesNotContain(StoredFiles(), f => f.Contains("bad-" + name, StringComparison.Ordinal));
        await using var db = api.Database();
        Assert.False(await db.Datasets.AnyAsync(x => x.Name == "bad-" + name, Ct));
    }

    [Fact]
    public async Task A_body_without_a_length_is_cut_off_at_the_limit()
    {
        var content = new StreamContent(new Endless());
        content.Headers.ContentType = new("text/plain");
        await ApiFixture.ProblemAsync(await api.Submitter.PutAsync("/v1/datasets/endless", content, Ct), ProblemCodes.TooLarge);
        Assert.DoesNotContain(StoredFiles(), f => f.Contains("endless", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Names_and_formats_are_checked_and_the_operator_s_are_not_hidden()
    {
        var body = Encoding.UTF8.GetBytes(TestFolders.Conllu(3));
        await ApiFixture.ProblemAsync(await PutAsync("..%2Fescape", body), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await PutAsync(".hidden", body), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await PutAsync("bomb.conllu.gz", body), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await PutAsync("bomb.zst", body), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await PutAsync("x?format=docx", body), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await PutAsync("mini", body), ProblemCodes.Conflict);
        await ApiFixture.ProblemAsync(await PutAsync("sample", body), ProblemCodes.Conflict);
        await ApiFixture.ProblemAsync(await api.Submitter.DeleteAsync("/v1/datasets/mini", Ct), ProblemCodes.Conflict);
    }

    [Fact]
    public async Task The_operator_s_folders_are_listed_by_what_can_be_read()
    {
        var names = (await ListAsync(api.Reader)).Data.Select(d => d.Id).ToList();
        Assert.Contains("sample", names);
        Assert.Contains("mini", names);
        Assert.DoesNotContain("escape.conllu", names);
        Assert.DoesNotContain("broken.conllu", names);
        var mini = await ApiFixture.ReadAsync<Dataset>(await api.Reader.GetAsync("/v1/datasets/mini", Ct));
        Assert.Equal(["train", "dev"], mini.Splits);
        Assert.Equal(48, mini.Sentences);
        var file = await ApiFixture.ReadAsync<Dataset>(await api.Reader.GetAsync("/v1/datasets/mini/mini-dev.conllu", Ct));
        Assert.Equal(8, file.Sentences);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/datasets/nowhere", Ct), ProblemCodes.NotFound);

        // What changed is counted again.
        await File.AppendAllTextAsync(Path.Combine(api.Folders.Datasets, "mini", "mini-dev.conllu"), TestFolders.Conllu(1, 5000), Ct);
        Assert.Equal(49, (await ApiFixture.ReadAsync<Dataset>(await api.Reader.GetAsync("/v1/datasets/mini", Ct))).Sentences);
    }

    [Fact]
    public async Task What_a_dead_upload_left_is_swept_after_a_day_and_nothing_else()
    {
        using var made = await PutAsync("kept", Encoding.UTF8.GetBytes(TestFolders.Conllu(9)));
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var kept = StoredFiles().Single(f => f.Contains("kept", StringComparison.Ordinal));
        var root = Path.Combine(api.Folders.Artifacts, "datasets");
        string Leave(string folder, string file)
        {
            var path = Path.Combine(Directory.CreateDirectory(Path.Combine(root, folder)).FullName, file);
            File.WriteAllText(path, "left");
            return path;
        }
        var received = Leave(Guid.CreateVersion7().ToString("D"), "mine");
        var writing = Leave(Guid.CreateVersion7().ToString("D"), "mine.0123.tmp");
        var beside = Leave(Path.GetFileName(Path.GetDirectoryName(kept)!), "kept.0123.tmp");
        var slow = Leave(Guid.CreateVersion7().ToString("D"), "slow.0123.tmp"); // an old folder that is still written to
        var foreign = Leave("not-an-id", "file");
        var now = Leave(Guid.CreateVersion7().ToString("D"), "now");
        var before = DateTime.UtcNow.AddHours(-25);
        foreach (var file in new[] { kept, received, writing, beside, foreign })
            File.SetLastWriteTimeUtc(file, before);
        foreach (var file in new[] { kept, received, writing, foreign, slow })
            Directory.SetLastWriteTimeUtc(Path.GetDirectoryName(file)!, before);

        Assert.Equal(2, await api.Services.GetServices<IHostedService>().OfType<UploadSweeper>().Single().SweepAsync(Ct));
        foreach (var gone in new[] { received, writing })
            Assert.False(Directory.Exists(Path.GetDirectoryName(gone)));
        Assert.All(new[] { kept, beside, slow, foreign, now }, file => Assert.True(File.Exists(file), file));

        // Unfinished files beside what is kept are the reconciler's.
        Assert.Equal(1, api.Services.GetRequiredService<ArtifactStore>().RemoveOrphans(new QueueOptions().OrphanAge));
        Assert.False(File.Exists(beside));
        foreach (var left in new[] { slow, foreign, now })
            Directory.Delete(Path.GetDirectoryName(left)!, recursive: true);
    }

    private static async Task<Page<Dataset>> ListAsync(HttpClient client) => await ApiFixture.ReadAsync<Page<Dataset>>(await client.GetAsync("/v1/datasets", Ct));

    private sealed class Endless : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count)
        {
            Array.Fill(buffer, (byte)'x', offset, count);
            return count;
        }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
