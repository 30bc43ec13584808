using System.Net.Http.Json;
using System.Text.Json;
using SaeService.Contracts;

namespace SaeService.Cli;

/// <summary>The interface, from the outside: what any client does with curl.</summary>
public sealed class ServiceClient : IDisposable
{
    private readonly HttpClient _http;

    public ServiceClient(Uri address, string? apiKey = null)
    {
        _http = new HttpClient { BaseAddress = address };
        if (apiKey is not null)
            _http.DefaultRequestHeaders.Authorization = new("Bearer", apiKey);
    }

    public Uri Address => _http.BaseAddress!;

    public async Task<Job> SubmitAsync(JobRequest request, CancellationToken ct)
    {
        using var answer = await SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/jobs") { Content = JsonContent.Create(request, options: Wire.Json) }, ct);
        return await ReadAsync<Job>(answer, ct);
    }

    public async Task<JobPreview> EstimateAsync(JobRequest request, CancellationToken ct)
    {
        var message = new HttpRequestMessage(HttpMethod.Post, "/v1/jobs/estimate") { Content = JsonContent.Create(request, options: Wire.Json) };
        using var answer = await SendAsync(message, ct);
        return await ReadAsync<JobPreview>(answer, ct);
    }

    public async Task<Job> JobAsync(Guid id, CancellationToken ct)
    {
        using var answer = await SendAsync(new HttpRequestMessage(HttpMethod.Get, $"/v1/jobs/{id}"), ct);
        return await ReadAsync<Job>(answer, ct);
    }

    public async Task<Page<Job>> JobsAsync(int limit, CancellationToken ct)
    {
        using var answer = await SendAsync(new HttpRequestMessage(HttpMethod.Get, $"/v1/jobs?limit={limit}"), ct);
        return await ReadAsync<Page<Job>>(answer, ct);
    }

    /// <summary>The layer-functionality document, byte for byte as the service stores it.</summary>
    public async Task<byte[]> DocumentAsync(Guid id, CancellationToken ct)
    {
        using var answer = await SendAsync(new HttpRequestMessage(HttpMethod.Get, $"/v1/jobs/{id}/layers"), ct);
        return await answer.Content.ReadAsByteArrayAsync(ct);
    }

    public async Task<Comparison> CompareAsync(Guid left, Guid right, CancellationToken ct)
    {
        using var answer = await SendAsync(new HttpRequestMessage(HttpMethod.Get, $"/v1/compare?left={left}&right={right}"), ct);
        return await ReadAsync<Comparison>(answer, ct);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken ct)
    {
        HttpResponseMessage answer;
        try
        {
            answer = await _http.SendAsync(request, ct);
        }
        catch (HttpRequestException e)
        {
            throw new CliException($"no answer from {Address}: {e.Message}", e);
        }
        if (answer.IsSuccessStatusCode)
            return answer;
        using (answer)
            throw new CliException(await DescribeAsync(answer, ct));
    }

    private static async Task<string> DescribeAsync(HttpResponseMessage answer, CancellationToken ct)
    {
        var text = await answer.Content.ReadAsStringAsync(ct);
        try
        {
            var problem = JsonSerializer.Deserialize<Problem>(text, s_lenient)!;
            var fields = problem.Errors is null ? "" : string.Concat(problem.Errors.Select(e => $"{Environment.NewLine}  {e.Key}: {string.Join("; ", e.Value)}"));
            return $"{problem.Title} ({problem.Code}): {problem.Detail}{fields}";
        }
        catch (JsonException)
        {
            return $"the service answered {(int)answer.StatusCode}: {text}";
        }
    }

    // A problem may carry members that a later version adds.
    private static readonly JsonSerializerOptions s_lenient = new(Wire.Json) { UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Skip };

    private static async Task<T> ReadAsync<T>(HttpResponseMessage answer, CancellationToken ct) =>
        await answer.Content.ReadFromJsonAsync<T>(s_lenient, ct) ?? throw new CliException("the service answered with nothing");

    public void Dispose() => _http.Dispose();
}
