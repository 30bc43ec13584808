using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using SaeService.Autoencoders;
using SaeService.Checkpoints;

namespace SaeService.Cli;

/// <summary>
/// <c>sae verify sae DIR</c>: what an autoencoder of any format does on given activations, and whether that is what the expected values beside it say. Exits
/// with 0 where all agree, 1 where one does not, 2 where something can not be used.
/// </summary>
internal static class VerifySaeCommand
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        WriteIndented = true,
    };

    private sealed record Report(SaeFormat Format, SaeArchitecture Architecture, int DIn, int DSae, int? K, long Rows, double? Fvu,
        double? ExplainedVariance, double L0, int Dead, double DeadShare, double MeanMaxDecoderCosine, double MaxDecoderCosine, IReadOnlyList<Row> Tensors);

    private sealed record Row(string Tensor, double? Error, bool Passed, string? NotCompared);

    public static Command Create()
    {
        var folder = new Argument<string>("DIR") { Description = "Folder of an autoencoder: SAELens, sparsify, dictionary_learning or OpenAI." };
        var activations = new Option<string>("--activations")
        {
            Description = "Safetensors with a matrix [n, d], or float32 row by row; absent: x of expected.safetensors in the folder.",
            HelpName = "FILE",
        };
        var tolerance = VerifyCommands.Tolerance("Greatest error allowed, over the greatest expected value of the same tensor");
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("sae",
            "Measures an autoencoder on activations, and compares it with expected.safetensors (x, codes, reconstruction) where that lies beside it.")
        {
            folder, activations, tolerance, json,
        };
        command.SetAction(parsed => Run(parsed.GetRequiredValue(folder), parsed.GetValue(activations), parsed.GetValue(tolerance), parsed.GetValue(json)));
        return command;
    }

    private static int Run(string folder, string? activations, double tolerance, bool json)
    {
        SaeVerification report;
        try
        {
            report = SaeVerification.Run(folder, activations);
        }
        catch (CheckpointException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        if (json)
            Console.WriteLine(JsonSerializer.Serialize(ReportOf(report, tolerance), s_json));
        else
            Write(report, tolerance);
        return report.Tensors.All(t => t.Passes(tolerance)) ? 0 : 1;
    }

    private static Report ReportOf(SaeVerification report, double tolerance)
    {
        var (about, quality) = (report.Autoencoder, report.Quality);
        return new Report(about.Format, about.Architecture, about.DIn, about.DSae, about.K == 0 ? null : about.K, quality.Tokens,
            Finite(quality.Fvu), Finite(quality.ExplainedVariance), quality.L0, quality.Dead, quality.DeadShare, quality.DecoderCosineMean, quality.DecoderCosineMax,
            [.. report.Tensors.Select(t => new Row(t.Tensor, Finite(t.Error), t.Passes(tolerance), t.NotCompared))]);

        static double? Finite(double value) => double.IsFinite(value) ? value : null;
    }

    private static void Write(SaeVerification report, double tolerance)
    {
        var (about, quality) = (report.Autoencoder, report.Quality);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{about.Format} {about.Architecture}: d_in {about.DIn}, d_sae {about.DSae}{(about.K == 0 ? "" : $", k {about.K}")}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{quality.Tokens} rows: FVU {quality.Fvu:0.0000}, explained variance {quality.ExplainedVariance:0.0000}, L0 {quality.L0:0.00}, "
            + $"dead {quality.DeadShare:0.0 %} ({quality.Dead}), decoder cosine {quality.DecoderCosineMean:0.000} mean, {quality.DecoderCosineMax:0.000} greatest"));
        foreach (var t in report.Tensors)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{(t.Passes(tolerance) ? "ok  " : "FAIL")}  {t.Tensor.PadRight(14)}  "
                + $"{(t.NotCompared is null ? $"{t.Error:0.0e+00}" : $"not compared: {t.NotCompared}")}"));
    }
}
