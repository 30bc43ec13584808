using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Contracts;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class OperationsTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_description_is_the_committed_one_and_covers_every_call()
    {
        var file = Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Api", "openapi.json");
        var served = (await api.Reader.GetStringAsync("/openapi.json", Ct)).ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
            await File.WriteAllTextAsync(file, served, Ct);
        Assert.True(served == (await File.ReadAllTextAsync(file, Ct)).ReplaceLineEndings("\n"), "src/SaeService.Api/openapi.json differs from what is served; UPDATE_GOLDEN=1 rewrites it");

        var document = JsonNode.Parse(served)!;
        Assert.StartsWith("3.1", (string)document["openapi"]!, StringComparison.Ordinal);
        var described = document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject().Select(o => $"{o.Key.ToUpperInvariant()} {p.Key}")).ToHashSet();
        var mapped = api.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.StartsWith("/v1", StringComparison.Ordinal))
            .SelectMany(e => e.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods.Select(m =>
                $"{m} {System.Text.RegularExpressions.Regex.Replace(e.RoutePattern.RawText!.TrimEnd('/'), @"\{\*{0,2}(\w+)(:\w+)?\}", "{$1}")}"));
        Assert.All(mapped, call => Assert.Contains(call, described));
        foreach (var operation in document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => o.Value!))
        {
            Assert.False(string.IsNullOrEmpty((string?)operation["summary"]), $"{operation["operationId"]} has no summary");
            Assert.Contains("401", operation["responses"]!.AsObject().Select(r => r.Key));
        }
    }

    [Fact]
    public async Task Unknown_addresses_and_methods_are_problems()
    {
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/nothing", Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync("/v1/jobs/not-an-id", Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Admin.PatchAsync("/v1/jobs", ApiFixture.Json("{}"), Ct), ProblemCodes.MethodNotAllowed);
        await ApiFixture.ProblemAsync(await api.Reader.GetAsync($"/v1/jobs/{Guid.NewGuid()}", Ct), ProblemCodes.NotFound);
    }

    [Fact]
    public async Task Health_and_metrics_tell_the_state()
    {
        Assert.Equal(HttpStatusCode.OK, (await api.Nobody.GetAsync("/healthz/live", Ct)).StatusCode);
        using var ready = await api.Reader.GetAsync("/healthz/ready", Ct);
        var health = JsonNode.Parse(await ready.Content.ReadAsStringAsync(Ct))!;
        Assert.Equal(("healthy", "healthy", "healthy"), ((string)health["checks"]!["database"]!["status"]!, (string)health["checks"]!["schema"]!["status"]!, (string)health["checks"]!["artifacts"]!["status"]!));

        var job = await api.SubmitAsync();
        await using (var db = api.Database())
            await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-10)), Ct);
        var metrics = (await api.Reader.GetStringAsync("/metrics", Ct)).Split('\n').Where(l => l.Length > 0 && l[0] != '#')
            .ToDictionary(l => l[..l.LastIndexOf(' ')], l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
        Assert.True(metrics["sae_jobs{status=\"queued\"}"] >= 1);
        Assert.InRange(metrics["sae_oldest_queued_seconds"], 599, 700);
        Assert.Equal(0, metrics["sae_webhooks{state=\"gave_up\"}"]);
        Assert.Equal(0, metrics["sae_stage_duration_seconds_count{stage=\"train\"}"]);
    }

    [Fact]
    public void The_interface_has_no_numeric_library_beside_it()
    {
        Assert.DoesNotContain(AppDomain.CurrentDomain.GetAssemblies(), a => a.GetName().Name!.Contains("TorchSharp", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain(Directory.GetFiles(ApiProcess.Folder, "*", SearchOption.AllDirectories), f => Path.GetFileName(f).Contains("torch", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("http://0.0.0.0:0", "loopback")]
    [InlineData("http://*:0", "loopback")]
    [InlineData("http://[::]:0", "loopback")]
    public async Task The_open_mode_does_not_start_on_an_address_that_others_reach(string urls, string says)
    {
        var (status, errors) = await ApiProcess.RunAsync(new() { ["ASPNETCORE_URLS"] = urls, ["Access__Mode"] = "open" });
        Assert.Equal(1, status);
        Assert.Contains(says, errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Access__Mode", "closed", "Access:Mode")]
    [InlineData("Webhooks__AllowPrivate", "perhaps", "Webhooks:AllowPrivate")]
    [InlineData("Hub__Enabled", "perhaps", "Hub:Enabled")]
    [InlineData("Hub__Endpoint", "huggingface.co", "Hub:Endpoint")]
    [InlineData("Catalogue__File", "/no/such/catalogue.json", "Catalogue:File")]
    [InlineData("Limits__MaxUploadBytes", "-1", "Limits:MaxUploadBytes")]
    [InlineData("ConnectionStrings__Default", "", "ConnectionStrings:Default")]
    public async Task A_wrong_setting_ends_the_start_with_its_name(string key, string value, string says)
    {
        var (status, errors) = await ApiProcess.RunAsync(new() { [key] = value });
        Assert.Equal(1, status);
        Assert.Contains(says, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }
}

/// <summary>The interface as a process of its own, for what only its start shows.</summary>
internal static class ApiProcess
{
    /// <summary>The build output of the Api beside that of these tests.</summary>
    public static string Folder { get; } = Path.GetFullPath(Path.Combine(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory), "..", "..",
        "SaeService.Api", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))));

    public static async Task<(int Status, string Errors)> RunAsync(Dictionary<string, string> environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(Folder, "SaeService.Api.dll")]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["ConnectionStrings__Default"] = "Host=127.0.0.1;Port=1;Database=none;Timeout=1";
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["Artifacts__Root"] = Path.GetTempPath();
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        using var process = Process.Start(start)!;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(patience.Token);
            var errors = await process.StandardError.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            await output;
            return (process.ExitCode, errors);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
