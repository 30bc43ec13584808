using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text;
using System.Text.Json;
using SaeService.Contracts;

namespace SaeService.Cli;

/// <summary><c>sae submit</c>, <c>sae jobs</c>, <c>sae watch</c>, <c>sae show</c> and <c>sae compare</c>: the interface from the terminal.</summary>
public static class JobCommands
{
    private static readonly Option<Uri?> s_address = new("--address")
    {
        Description = "Address of the service (SAE_ADDRESS)",
        DefaultValueFactory = result => Address(Environment.GetEnvironmentVariable("SAE_ADDRESS") is { Length: > 0 } set ? set : "http://127.0.0.1:5080", result),
        CustomParser = result => Address(result.Tokens[0].Value, result),
    };
    private static readonly Option<bool> s_json = new("--json") { Description = "Print the JSON as the service sends it" };

    private static Uri? Address(string text, ArgumentResult result)
    {
        if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
            return address;
        result.AddError($"'{text}' is no address of a service; it looks like http://127.0.0.1:5080");
        return null;
    }

    private static ServiceClient Client(ParseResult parsed) => new(parsed.GetValue(s_address)!, Environment.GetEnvironmentVariable("SAE_API_KEY"));

    public static Command Submit()
    {
        var file = new Argument<FileInfo>("request") { Description = "A JSON file with the request; - reads standard input" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what the job would need and whether it fits; exit status 0 if it does" };
        var command = new Command("submit", "Submit a job and print its id; what it will need goes to standard error") { file, s_address, s_json, dryRun };
        command.SetAction(async (parsed, ct) =>
        {
            var source = parsed.GetValue(file)!;
            var text = source.Name == "-" ? await Console.In.ReadToEndAsync(ct) : await File.ReadAllTextAsync(source.FullName, ct);
            JobRequest request;
            try
            {
                request = JsonSerializer.Deserialize<JobRequest>(text, Wire.Json) ?? throw new CliException("the request is null");
            }
            catch (JsonException e)
            {
                throw new CliException($"the request can not be read: {e.Message}", e);
            }
            using var client = Client(parsed);
            if (parsed.GetValue(dryRun))
            {
                var preview = await client.EstimateAsync(request, ct);
                Console.WriteLine(parsed.GetValue(s_json) ? JsonSerializer.Serialize(preview, Wire.IndentedJson)
                    : preview.Refusal ?? EstimateText.Of(preview.Estimate));
                return preview.Refusal is null ? 0 : 1;
            }
            var job = await client.SubmitAsync(request, ct);
            if (job.Estimate is { } estimate)
                await Console.Error.WriteLineAsync(EstimateText.Of(estimate));
            Console.WriteLine(parsed.GetValue(s_json) ? JsonSerializer.Serialize(job, Wire.IndentedJson) : job.Id.ToString());
            return 0;
        });
        return command;
    }

    public static Command Watch()
    {
        var id = new Argument<Guid>("job");
        var command = new Command("watch", "Follow a job to its end; exit status 0 only if it succeeds") { id, s_address, s_json };
        command.SetAction(async (parsed, ct) =>
        {
            using var client = Client(parsed);
            var job = await JobWatcher.WatchAsync(client, parsed.GetValue(id), ct);
            Console.WriteLine(parsed.GetValue(s_json) ? JsonSerializer.Serialize(job, Wire.IndentedJson) : $"{job.Status.ToString().ToLowerInvariant()} {job.Error?.Detail}".TrimEnd());
            return job.Status == JobStatus.Succeeded ? 0 : 1;
        });
        return command;
    }

    public static Command List()
    {
        var count = new Option<int>("--limit") { Description = "At most so many, 1 to 200", DefaultValueFactory = _ => 20 };
        var command = new Command("jobs", "The latest jobs") { count, s_address, s_json };
        command.SetAction(async (parsed, ct) =>
        {
            using var client = Client(parsed);
            var page = await client.JobsAsync(parsed.GetValue(count), ct);
            if (parsed.GetValue(s_json))
                Console.WriteLine(JsonSerializer.Serialize(page, Wire.IndentedJson));
            else
                JobTable.Print(page.Data);
            return 0;
        });
        return command;
    }

    public static Command Show()
    {
        var id = new Argument<Guid>("job");
        var command = new Command("show", "What each layer does, of a finished job; of another, how far it is") { id, s_address, s_json };
        command.SetAction(async (parsed, ct) =>
        {
            using var client = Client(parsed);
            var job = await client.JobAsync(parsed.GetValue(id), ct);
            if (job.Status != JobStatus.Succeeded)
            {
                if (parsed.GetValue(s_json))
                    Console.WriteLine(JsonSerializer.Serialize(job, Wire.IndentedJson));
                else
                    JobTable.Print(job);
                return 1;
            }
            var document = await client.DocumentAsync(parsed.GetValue(id), ct);
            if (parsed.GetValue(s_json))
                Console.WriteLine(Encoding.UTF8.GetString(document));
            else
                LayerTable.Print(JsonSerializer.Deserialize<LayerFunctionalityDocument>(document, Wire.Json)!);
            return 0;
        });
        return command;
    }

    public static Command Compare()
    {
        var left = new Argument<Guid>("left") { Description = "A finished job" };
        var right = new Argument<Guid>("right") { Description = "The job that is compared with it" };
        var command = new Command("compare", "Two finished jobs side by side: which labels moved, appeared or vanished") { left, right, s_address, s_json };
        command.SetAction(async (parsed, ct) =>
        {
            using var client = Client(parsed);
            var comparison = await client.CompareAsync(parsed.GetValue(left), parsed.GetValue(right), ct);
            if (parsed.GetValue(s_json))
                Console.WriteLine(JsonSerializer.Serialize(comparison, Wire.IndentedJson));
            else
                CompareTable.Print(comparison);
            return 0;
        });
        return command;
    }
}
