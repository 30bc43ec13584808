using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Autoencoders.Toy;
using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary><c>sae bench toy</c>: how well the trainer finds dictionaries that are known.</summary>
internal static class BenchCommands
{
    public static Command Create() => new("bench", "Quality of the autoencoders and of what is said of them, where the truth is known") { Toy(), TruthCommand.Create() };

    private static Command Toy()
    {
        var generator = new Option<string[]>("--generator")
        {
            Description = $"Data to train on, of {string.Join(", ", ToyBenchmark.Generators)}; all where none is named",
            AllowMultipleArgumentsPerToken = true,
        };
        var n = new Option<int?>("--n") { Description = "Latents, instead of those of the generator's own cases" };
        var k = new Option<int?>("--k") { Description = "Latents kept for a row, likewise" };
        var steps = new Option<int>("--steps") { Description = "Batches of training", DefaultValueFactory = _ => new ToyRun().Steps };
        var batch = new Option<int>("--batch") { Description = "Rows of a batch", DefaultValueFactory = _ => new ToyRun().Batch };
        var blocks = new Option<int>("--blocks")
        {
            Description = "Distinct blocks of 4096 rows that training goes through in shuffled epochs; 256 are a file of 1.1 GB",
            DefaultValueFactory = _ => new ToyRun().TrainBlocks,
        };
        var seed = new Option<int[]>("--seed")
        {
            Description = "Of the data and of the training; with several, every case is run with each",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [0],
        };
        var architecture = new Option<string[]>("--architecture")
        {
            Description = $"Of the autoencoders: {string.Join(", ", Architectures.Trained)}; with several, every case is run with each",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [Architectures.Trained[0]],
        };
        var rate = new Option<double?>("--learning-rate") { Description = "Peak learning rate, instead of the trainer's own" };
        var threads = new Option<int?>("--threads") { Description = "All processors where absent; the results do not depend on it" };
        var folder = new Option<DirectoryInfo>("--folder")
        {
            Description = "For the file of rows, which is deleted in the end",
            DefaultValueFactory = _ => new DirectoryInfo(Path.GetTempPath()),
        };
        var json = new Option<FileInfo?>("--json")
        {
            Description = "Write the rows as JSON to this file, or, where none is named, in place of the tables",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var command = new Command("toy", "Train on toy data with a known dictionary and say how much of it was found, beside what others' code found")
        {
            generator, n, k, architecture, steps, batch, blocks, seed, rate, threads, folder, json,
        };
        command.SetAction((parsed, ct) => Task.Run(() =>
        {
            var asked = parsed.GetValue(generator) ?? [];
            var cases = Cases(asked, parsed.GetValue(n), parsed.GetValue(k));
            var (file, machine) = (parsed.GetValue(json), parsed.GetResult(json) is { Implicit: false } && parsed.GetValue(json) is null);
            var results = new List<ToyResult>();
            try
            {
                foreach (var (s, kind) in parsed.GetRequiredValue(seed).SelectMany(s => parsed.GetRequiredValue(architecture), (s, name) => (s, Architectures.Parse(name))))
                {
                    var run = new ToyRun(parsed.GetValue(steps), s)
                    {
                        Architecture = kind,
                        Batch = parsed.GetValue(batch),
                        TrainBlocks = parsed.GetValue(blocks),
                        LearningRate = parsed.GetValue(rate),
                        Threads = parsed.GetValue(threads),
                    };
                    ToyBenchmark.Run(cases, run, parsed.GetRequiredValue(folder).FullName, result =>
                    {
                        results.Add(result);
                        if (!machine)
                            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                                $"{result.Generator} {result.Architecture} n {result.N} k {result.K} seed {result.Seed}: mcc {result.Mcc:F3}, {result.Seconds:F0} s"));
                    }, ct);
                }
            }
            catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException or InvalidOperationException)
            {
                throw new CliException(e.Message, e);
            }
            if (file is not null)
                File.WriteAllText(file.FullName, JsonSerializer.Serialize(results, Wire.IndentedJson));
            if (machine)
                Console.WriteLine(JsonSerializer.Serialize(results, Wire.IndentedJson));
            else
                Print(results);
            return 0;
        }, ct));
        return command;
    }

    /// <summary>The benchmark's cases; where n or k is named, one for each generator with it.</summary>
    private static List<ToyCase> Cases(string[] generators, int? n, int? k)
    {
        if (generators.FirstOrDefault(g => !ToyBenchmark.Generators.Contains(g)) is { } unknown)
            throw new CliException($"there is no generator '{unknown}'; there are {string.Join(", ", ToyBenchmark.Generators)}");
        return [.. ToyBenchmark.Cases.Where(c => generators.Length == 0 || generators.Contains(c.Generator))
            .Select(c => c with { N = n ?? c.N, K = k ?? c.K }).Distinct()];
    }

    private static void Print(List<ToyResult> results)
    {
        var table = Screen.Table("One row a trained autoencoder; in grey, the floor and figures of others");
        foreach (var column in new[] { "generator", "n", "k", "MMCS", "MCC", "FVU", "dead", "F1", "seconds", "whose" })
            table.AddColumn(column);
        foreach (var group in results.GroupBy(r => (r.Generator, r.N, r.K)))
        {
            foreach (var r in group)
                table.AddRow(r.Generator, Text(r.N), Text(r.K), Text(r.Mmcs, 3), Text(r.Mcc, 3), Text(r.Fvu, 4), Text(r.Dead), Text(r.F1, 3),
                    Text(r.Seconds, 0), $"ours, {r.Architecture}, seed {r.Seed}");
            var floor = group.First();
            AddGrey(table, floor.Generator, floor.N, null, floor.RandomMmcs, floor.RandomMcc, null, null, null, "random directions: the floor");
            foreach (var p in floor.Peers)
                AddPeer(table, p);
        }
        if (results.Exists(r => r.Generator == SynthGenerator.ScaledName))
            foreach (var p in PeerResult.All.Where(p => !ToyBenchmark.Generators.Contains(p.Generator)))
                AddPeer(table, p);
        AnsiConsole.Write(table);
        AnsiConsole.MarkupLine("[grey]MMCS: mean over true features of the largest cosine to a learned one. MCC: mean |cosine| of the best one-to-one pairs."
            + " F1: of a latent firing for its nearest feature. FVU, dead and F1 on rows that were not trained on.[/]");
    }

    private static void AddPeer(Table table, PeerResult p) =>
        AddGrey(table, p.Generator, p.N, p.K, p.Mmcs, p.Mcc, p.Fvu, p.Dead, p.Seconds, p.Source);

    private static void AddGrey(Table table, string generator, int n, int? k, double? mmcs, double? mcc, double? fvu, int? dead, double? seconds,
        string whose) =>
        table.AddRow(new[] { generator, Text(n), Text(k), Text(mmcs, 3), Text(mcc, 3), Text(fvu, 4), Text(dead), "", Text(seconds, 0), whose }
            .Select(cell => new Markup($"[grey]{Markup.Escape(cell)}[/]")));

    private static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "";
    private static string Text(double? value, int digits) => value?.ToString("F" + digits, CultureInfo.InvariantCulture) ?? "";
}
