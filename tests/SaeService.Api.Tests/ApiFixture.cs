using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>The interface over a real Postgres, in this process, with a key of each scope. There is no worker: tests move jobs by hand.</summary>
public class ApiFixture : IAsyncLifetime
{
    private TestDatabase _database = null!;
    private WebApplicationFactory<Program> _factory = null!;

    public TestFolders Folders { get; } = new();
    public IServiceProvider Services => _factory.Services;
    public string SubmitKey { get; private set; } = null!;
    public string AdminKey { get; private set; } = null!;

    /// <summary>Clients: of a reader, of two submitters who must not see each other's jobs, of the administrator, and of nobody.</summary>
    public HttpClient Reader { get; private set; } = null!;
    public HttpClient Submitter { get; private set; } = null!;
    public HttpClient Other { get; private set; } = null!;
    public HttpClient Admin { get; private set; } = null!;
    public HttpClient Nobody { get; private set; } = null!;

    protected virtual IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>();

    /// <summary>Whether it listens on a port of loopback, as a browser needs it; otherwise requests stay in this process.</summary>
    protected virtual bool Listens => false;

    /// <summary>Where it listens.</summary>
    public Uri Address => new(Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public virtual async ValueTask InitializeAsync()
    {
        _database = await TestCluster.CreateDatabaseAsync(HangfireSetup.MigrateAsync);
        _factory = new WebApplicationFactory<Program>().WithWebHostBuilder(builder =>
        {
            builder.UseSetting("ConnectionStrings:Default", _database.ConnectionString);
            builder.UseSetting("Artifacts:Root", Folders.Artifacts);
            builder.UseSetting("Models:Roots:0", Folders.Models);
            builder.UseSetting("Datasets:Roots:0", Folders.Datasets);
            builder.UseSetting("Bundled:Root", Folders.Bundled);
            builder.UseSetting("Serilog:MinimumLevel:Default", "Fatal");
            builder.UseSetting("Limits:MaxUploadBytes", "100000");
            builder.UseSetting("Limits:MaxDiskBytes", "10000000000");
            builder.UseSetting("Limits:MaxMemoryBytes", "1000000000");
            builder.UseSetting("Limits:QueuedJobsPerKey", "1000");
            builder.UseSetting("Limits:RequestBurst", "100000");
            foreach (var (key, value) in Settings)
                builder.UseSetting(key, value);
        });
        if (Listens)
        {
            _factory.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            _factory.StartServer();
        }
        var keys = _factory.Services.GetRequiredService<ApiKeys>();
        SubmitKey = (await keys.CreateAsync("submitter", "submit")).Key;
        AdminKey = (await keys.CreateAsync("admin", "admin")).Key;
        Reader = Client((await keys.CreateAsync("reader", "read")).Key);
        Submitter = Client(SubmitKey);
        Other = Client((await keys.CreateAsync("other", "submit")).Key);
        Admin = Client(AdminKey);
        Nobody = Client(null);
    }

    public HttpClient Client(string? key)
    {
        var client = _factory.CreateClient(new WebApplicationFactoryClientOptions { AllowAutoRedirect = false, HandleCookies = false });
        if (Listens)
            client.BaseAddress = Address;
        if (key is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    public SaeDbContext Database() => Services.GetRequiredService<IDbContextFactory<SaeDbContext>>().CreateDbContext();

    /// <summary>Submits on the sample and returns the job.</summary>
    public async Task<Job> SubmitAsync(string members = "", HttpClient? client = null)
    {
        using var answer = await (client ?? Submitter).PostAsync("/v1/jobs", Json($$"""{"model":{"id":"tiny"},"dataset":{"id":"mini"}{{members}}}"""));
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        return await ReadAsync<Job>(answer);
    }

    public static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    public static async Task<T> ReadAsync<T>(HttpResponseMessage answer) =>
        JsonSerializer.Deserialize<T>(await answer.Content.ReadAsStringAsync(), Wire.Json)!;

    /// <summary>Asserts a problem document in every particular that all of them share.</summary>
    public static async Task<Problem> ProblemAsync(HttpResponseMessage answer, string code)
    {
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(ProblemCodes.StatusOf(code) == (int)answer.StatusCode, $"{(int)answer.StatusCode}: {body}");
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var problem = JsonSerializer.Deserialize<Problem>(body, Wire.Json)!;
        Assert.Equal(code, problem.Code);
        Assert.Equal($"urn:sae:problem:{code}", problem.Type);
        Assert.Equal((int)answer.StatusCode, problem.Status);
        Assert.False(string.IsNullOrEmpty(problem.TraceId));
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal); // a stack trace
        Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
        return problem;
    }

    public virtual async ValueTask DisposeAsync()
    {
        await _factory.DisposeAsync();
        await _database.DisposeAsync();
        Folders.Dispose();
        GC.SuppressFinalize(this);
    }
}
