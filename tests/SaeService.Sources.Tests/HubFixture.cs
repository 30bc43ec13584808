using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

/// <summary>A hub on loopback, a cache folder, and impatience.</summary>
public abstract class HubTestBase : IAsyncLifetime
{
    public const string Token = "hf_secretsecret";

    protected FakeHub Hub { get; private set; } = null!;
    protected string Root { get; } = Directory.CreateTempSubdirectory("sae-hub-").FullName;
    protected string CacheFolder => Path.Combine(Root, "hub");
    protected static CancellationToken Ct => TestContext.Current.CancellationToken;
    protected static HubRepo Tiny { get; } = HubRepo.Of(RepoKind.Model, "org/tiny");

    public async ValueTask InitializeAsync() => Hub = await FakeHub.StartAsync();

    protected SourceSettings Settings(string? cache = null, bool offline = false, long? maxBytes = null, long pieceBytes = 1 << 20, string? token = Token, IReadOnlyList<string>? hosts = null,
        Func<string, long>? freeBytes = null, HttpLimits? limits = null) => new()
        {
            Enabled = true,
            Endpoint = Hub.Address,
            Token = token,
            CacheFolder = cache ?? CacheFolder,
            Offline = offline,
            MaxBytes = maxBytes,
            AllowedHosts = hosts ?? [Hub.CdnHost],
            PieceBytes = pieceBytes,
            FreeBytes = freeBytes ?? (_ => 1L << 40),
            Limits = limits ?? new HttpLimits
            {
                HeadTimeout = TimeSpan.FromSeconds(10),
                IdleTimeout = TimeSpan.FromSeconds(10),
                FirstDelay = TimeSpan.FromMilliseconds(5),
                LongestDelay = TimeSpan.FromMilliseconds(20),
            },
        };

    /// <summary>Bytes that are nowhere alike.</summary>
    protected static byte[] Noise(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    protected FakeRepo AddTiny(int weights = 5000, int commit = 1) => Hub.Add("models/org/tiny@main", new FakeRepo(FakeHub.CommitOf(commit)) { Licence = "mit" })
        .With("config.json", """{"model_type":"llama"}""").With("model.safetensors", Noise(weights, commit)).With("tokenizer.json", "{}").With("README.md", "# tiny");

    protected static async Task<SourceException> FaultAsync(SourceFault fault, Func<Task> fetch)
    {
        var e = await Assert.ThrowsAsync<SourceException>(fetch);
        Assert.True(fault == e.Fault, $"{e.Fault}: {e.Message}");
        Assert.DoesNotContain(Token, e.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("Signature", e.Message, StringComparison.Ordinal);
        return e;
    }

    protected static void SameFiles(string folder, FakeRepo repo, params string[] names)
    {
        Assert.Equal(names.Order(StringComparer.Ordinal),
            Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f).Replace('\\', '/')).Order(StringComparer.Ordinal));
        foreach (var name in names)
            Assert.True(repo.Files[name].AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, name))), name);
    }

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        Directory.Delete(Root, recursive: true);
        GC.SuppressFinalize(this);
    }
}
