using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>
/// <c>sae bench truth</c>: what the service says of things that are known. The worker makes the checks, since no other process loads libtorch; the bundled sample is
/// analysed as a user would have it, by HTTP on a private service.
/// </summary>
internal static class TruthCommand
{
    public static Command Create()
    {
        var runs = new Option<int>("--runs") { Description = "Null runs: whole analyses in which there is nothing to find", DefaultValueFactory = _ => 200 };
        var seed = new Option<int>("--seed") { Description = "Of planted languages and null runs", DefaultValueFactory = _ => 1 };
        var skipSample = new Option<bool>("--skip-sample") { Description = "Leave the bundled sample out, and with it the private service" };
        var document = new Option<FileInfo?>("--document") { Description = "Hold this document of the bundled sample against its grammar, and check nothing else" };
        var home = new Option<DirectoryInfo?>("--home") { Description = "Folder of the private cluster, artifacts and logs; absent: a temporary one" };
        var json = new Option<FileInfo?>("--json")
        {
            Description = "Write {passed, failed, skipped, checks} as JSON to this file, or, where none is named, in place of the table",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var command = new Command("truth", "Check statistics, labels, information and conclusions against what is known: exit status 1 if a check fails")
        {
            runs, seed, skipSample, document, home, json,
        };
        command.SetAction(async (parsed, ct) =>
        {
            var count = parsed.GetValue(runs);
            if (count is < 1 or > 100_000)
                throw new CliException($"--runs is {count}; it must be from 1 to 100000");
            if (parsed.GetValue(document) is { Exists: false } missing)
                throw new CliException($"--document: there is no file {missing.FullName}");
            var (file, machine) = (parsed.GetValue(json), parsed.GetResult(json) is { Implicit: false } && parsed.GetValue(json) is null);
            List<TruthCheck> checks;
            if (parsed.GetValue(document) is { } given)
                checks = await ChecksAsync(["truth-sample", given.FullName], ct);
            else
            {
                checks = await ChecksAsync(["truth", Text(count), Text(parsed.GetValue(seed))], ct);
                if (!parsed.GetValue(skipSample))
                    checks.AddRange(await SampleAsync(parsed.GetValue(home)?.FullName, ct));
            }
            var report = TruthReport.Of(checks);
            if (file is not null)
                await File.WriteAllTextAsync(file.FullName, JsonSerializer.Serialize(report, Wire.IndentedJson), ct);
            if (machine)
                Console.WriteLine(JsonSerializer.Serialize(report, Wire.IndentedJson));
            else
                Print(report);
            return report.Failed == 0 ? 0 : 1;
        });
        return command;
    }

    private static async Task<List<TruthCheck>> ChecksAsync(string[] arguments, CancellationToken ct)
    {
        var (status, output) = await Sibling.CaptureAsync("Worker", arguments, ct);
        return status == 0
            ? JsonSerializer.Deserialize<List<TruthCheck>>(output, Wire.Json)!
            : throw new CliException($"the checks could not be made: the worker ended with status {status}");
    }

    /// <summary>The job of <c>sae demo</c>, in mode quick, on a service of its own.</summary>
    private static async Task<List<TruthCheck>> SampleAsync(string? home, CancellationToken ct)
    {
        var temporary = home is null ? Directory.CreateTempSubdirectory("sae-truth-").FullName : null;
        try
        {
            var folder = home ?? temporary!;
            await using (var service = await LocalService.StartAsync(new LocalOptions(folder, Port: 0, [], []), Console.Error.WriteLine, ct))
            {
                using var client = new ServiceClient(service.Address);
                var job = await client.SubmitAsync(SampleJob.Request("quick"), ct);
                var stage = "";
                while (!JobWatcher.Ended(job))
                {
                    await Task.Delay(500, ct);
                    job = await client.JobAsync(job.Id, ct);
                    var now = $"the bundled sample: {job.Stage?.ToString().ToLowerInvariant() ?? job.Status.ToString().ToLowerInvariant()}";
                    if (now != stage)
                        await Console.Error.WriteLineAsync(stage = now);
                }
                if (job.Status != JobStatus.Succeeded)
                    throw new CliException($"the sample's job {job.Status.ToString().ToLowerInvariant()}: {job.Error?.Detail}");
                await File.WriteAllBytesAsync(Path.Combine(folder, "sample.json"), await client.DocumentAsync(job.Id, ct), ct);
            }
            return await ChecksAsync(["truth-sample", Path.Combine(folder, "sample.json")], ct);
        }
        finally
        {
            if (temporary is not null)
                Directory.Delete(temporary, recursive: true);
        }
    }

    private static void Print(TruthReport report)
    {
        var table = Screen.Table().AddColumn("").AddColumn("check").AddColumn(new TableColumn("found").RightAligned()).AddColumn("wanted").AddColumn("");
        foreach (var check in report.Checks)
            table.AddRow(check.Skipped is not null ? "[yellow]skip[/]" : check.Ok ? "[green]ok[/]" : "[red]FAIL[/]", Markup.Escape(check.Name),
                check.Value?.ToString("G4", CultureInfo.InvariantCulture) ?? "", Markup.Escape(check.Want), $"[grey]{Markup.Escape(check.Skipped ?? check.Note ?? "")}[/]");
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"{report.Passed} passed, {report.Failed} failed, {report.Skipped} skipped");
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
