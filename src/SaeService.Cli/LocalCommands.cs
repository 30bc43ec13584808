using System.CommandLine;
using System.Text.Json;
using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary><c>sae up</c> and <c>sae demo</c>: the whole service on this machine, with or without a first job.</summary>
public static class LocalCommands
{
    private static readonly Option<int> s_port = new("--port") { Description = "Port of the interface on 127.0.0.1; 0 takes a free one", DefaultValueFactory = _ => 5080 };
    private static readonly Option<string> s_home = new("--home") { Description = "Folder of the private cluster, artifacts and logs", DefaultValueFactory = _ => LocalService.DefaultHome };
    private static readonly Option<string[]> s_models = new("--models") { Description = "Folder whose sub-folders can be named as models", DefaultValueFactory = _ => [] };
    private static readonly Option<string[]> s_datasets = new("--datasets") { Description = "Folder whose entries can be named as data sets", DefaultValueFactory = _ => [] };
    private static readonly Option<int> s_workers = new("--workers") { Description = "Worker processes", DefaultValueFactory = _ => 1 };

    public static Command Up()
    {
        var command = new Command("up", "Start Postgres (a private cluster if none is given), the interface and a worker; stays until Ctrl-C") { s_port, s_home, s_models, s_datasets, s_workers };
        command.SetAction(async (parsed, ct) =>
        {
            await using var service = await StartAsync(parsed, ct);
            PrintAddresses(service, null);
            await UntilStoppedAsync(ct);
            return 0;
        });
        return command;
    }

    public static Command Demo()
    {
        var exit = new Option<bool>("--exit") { Description = "End after the job instead of staying up" };
        var json = new Option<FileInfo?>("--json") { Description = "Write the layer-functionality document to this file" };
        var model = new Option<string>("--model") { Description = "Model to analyse", DefaultValueFactory = _ => "sample" };
        var dataset = new Option<string>("--dataset") { Description = "Labelled data set", DefaultValueFactory = _ => "sample" };
        var split = new Option<string?>("--split") { Description = "Parts of the data set, joined by +" };
        var tokens = new Option<long?>("--train-tokens") { Description = "Tokens each autoencoder is trained on, epochs counted" };
        var command = new Command("demo", "The same, then analyse the bundled sample by HTTP and show what each layer does")
        {
            s_port, s_home, s_models, s_datasets, s_workers, exit, json, model, dataset, split, tokens,
        };
        command.SetAction(async (parsed, ct) =>
        {
            await using var service = await StartAsync(parsed, ct);
            using var client = new ServiceClient(service.Address);
            var (brief, sample) = (SampleJob.Request(), parsed.GetValue(model) == "sample");
            var request = new JobRequest
            {
                Model = new(parsed.GetValue(model)!),
                Dataset = new(parsed.GetValue(dataset)!, parsed.GetValue(split)),
                Sae = parsed.GetValue(tokens) is { } asked ? new SaeSettings { TrainTokens = asked } : sample ? brief.Sae : new SaeSettings(),
                Information = sample ? brief.Information : null,
            };
            AnsiConsole.MarkupLineInterpolated($"[bold]POST {service.Address}v1/jobs[/]");
            AnsiConsole.WriteLine(JsonSerializer.Serialize(request, s_brief));
            var job = await client.SubmitAsync(request, ct);
            if (job.Estimate is { } estimate)
                AnsiConsole.MarkupLineInterpolated($"[grey]{EstimateText.Of(estimate)}[/]");
            job = await JobWatcher.WatchAsync(client, job.Id, ct);
            if (job.Status != JobStatus.Succeeded)
                throw new CliException($"the job {job.Status.ToString().ToLowerInvariant()}: {job.Error?.Detail} {job.Error?.Remedy} (logs in {Path.Combine(service.Home, "logs")})");
            var document = await client.DocumentAsync(job.Id, ct);
            if (parsed.GetValue(json) is { } file)
                await File.WriteAllBytesAsync(file.FullName, document, ct);
            LayerTable.Print(JsonSerializer.Deserialize<LayerFunctionalityDocument>(document, Wire.Json)!);
            AnsiConsole.MarkupLineInterpolated($"[grey]{(job.FinishedAt - job.CreatedAt)!.Value.TotalSeconds:F0} s from request to document[/]");
            PrintAddresses(service, job);
            if (!parsed.GetValue(exit))
                await UntilStoppedAsync(ct);
            return 0;
        });
        return command;
    }

    private static readonly JsonSerializerOptions s_brief = new(Wire.IndentedJson) { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    private static Task<LocalService> StartAsync(ParseResult parsed, CancellationToken ct) =>
        LocalService.StartAsync(
            new(Path.GetFullPath(parsed.GetValue(s_home)!), parsed.GetValue(s_port), parsed.GetValue(s_models)!, parsed.GetValue(s_datasets)!, Math.Clamp(parsed.GetValue(s_workers), 1, 64)),
            line => AnsiConsole.MarkupLineInterpolated($"[grey]{line}[/]"), ct);

    private static void PrintAddresses(LocalService service, Job? job)
    {
        var grid = new Grid().AddColumn().AddColumn();
        grid.AddRow("explorer", new Uri(service.Address, job is null ? "/" : job.Urls.Explorer).ToString());
        if (job is not null)
            grid.AddRow("what each layer does", new Uri(service.Address, $"/v1/jobs/{job.Id}/layers").ToString());
        grid.AddRow("Swagger UI", new Uri(service.Address, "/swagger").ToString());
        grid.AddRow("Hangfire dashboard", new Uri(service.Address, "/hangfire").ToString());
        grid.AddRow("logs", Path.Combine(service.Home, "logs"));
        AnsiConsole.Write(grid);
    }

    private static Task UntilStoppedAsync(CancellationToken stop)
    {
        AnsiConsole.MarkupLine("[grey]Ctrl-C stops it.[/]");
        return Task.Delay(Timeout.Infinite, stop).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
