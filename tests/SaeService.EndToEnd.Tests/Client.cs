using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.TestSupport;

namespace SaeService.EndToEnd.Tests;

/// <summary>A client that knows nothing of our types: plain JSON over HTTP, as curl has it.</summary>
internal sealed class Client(string address) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = new Uri(address) };

    public HttpClient Http => _http;

    public async Task<string> SubmitAsync(string request, CancellationToken ct) => (await PostAsync("/v1/jobs", request, 202, ct))["id"]!.GetValue<string>();

    public Task<JsonNode> EstimateAsync(string request, CancellationToken ct) => PostAsync("/v1/jobs/estimate", request, 200, ct);

    private async Task<JsonNode> PostAsync(string path, string request, int expected, CancellationToken ct)
    {
        using var answer = await _http.PostAsync(path, new StringContent(request, System.Text.Encoding.UTF8, "application/json"), ct);
        var body = await answer.Content.ReadAsStringAsync(ct);
        return (int)answer.StatusCode == expected ? JsonNode.Parse(body)! : throw new InvalidOperationException($"{(int)answer.StatusCode}: {body}");
    }

    public async Task<JsonNode> JobAsync(string id, CancellationToken ct) => (await _http.GetFromJsonAsync<JsonNode>($"/v1/jobs/{id}", ct))!;

    /// <summary>Polls until <paramref name="reached"/>, or the job has ended.</summary>
    public async Task<JsonNode> WaitAsync(string id, Func<JsonNode, bool> reached, CancellationToken ct)
    {
        while (true)
        {
            var job = await JobAsync(id, ct);
            if (reached(job) || job["status"]!.GetValue<string>() is "succeeded" or "failed" or "cancelled")
                return job;
            await Task.Delay(100, ct);
        }
    }

    public Task<JsonNode> WaitForEndAsync(string id, CancellationToken ct) => WaitAsync(id, _ => false, ct);

    /// <summary>The layer-functionality document without what must differ between two jobs: its id and its time.</summary>
    public async Task<string> ComparableDocumentAsync(string id, CancellationToken ct) => Comparable(await _http.GetStringAsync($"/v1/jobs/{id}/layers", ct));

    public static string Comparable(string document)
    {
        PublishedSchema.AssertValid(document);
        var node = JsonNode.Parse(document)!.AsObject();
        node.Remove("id");
        node.Remove("created_utc");
        return node.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }

    public void Dispose() => _http.Dispose();
}
