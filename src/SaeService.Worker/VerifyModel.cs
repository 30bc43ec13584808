using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using SaeService.Checkpoints;
using SaeService.Transformers;
using TorchSharp;

namespace SaeService.Worker;

/// <summary>
/// <c>verify-model FOLDER TOLERANCE text|json</c>: what <c>sae verify model</c> starts, since the worker is the only executable that loads libtorch. Compares a
/// model with the expected.safetensors in its folder, a line a tensor and layer. Exit status 0 if all agree, 1 if not, 2 if the folder cannot be used.
/// </summary>
internal static class VerifyModel
{
    public const string Verb = "verify-model";

    private sealed record Row(string Tensor, int? Layer, double? Error, bool Passed, string? NotCompared);

    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
    };

    public static int Run(string[] arguments)
    {
        if (arguments.Length != 3 || arguments[2] is not ("text" or "json") || !double.TryParse(arguments[1], CultureInfo.InvariantCulture, out var tolerance))
        {
            Console.Error.WriteLine($"usage: {Verb} FOLDER TOLERANCE text|json");
            return 2;
        }
        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
            var folder = ModelFolder.Open(arguments[0]);
            using var model = LanguageModel.Load(folder);
            using var expected = SafetensorsFile.Open(Path.Combine(folder.Path, "expected.safetensors"));
            var errors = GoldenComparison.Run(model, expected);
            if (arguments[2] == "json")
                Console.WriteLine(JsonSerializer.Serialize(errors.Select(e => new Row(
                    e.Tensor, e.Layer, double.IsFinite(e.Error) ? e.Error : null, e.Passes(tolerance), e.NotCompared)), s_json));
            else
                Write(folder, errors, tolerance);
            return errors.Count > 0 && errors.All(e => e.Passes(tolerance)) ? 0 : 1;
        }
        catch (CheckpointException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }

    private static void Write(ModelFolder folder, IReadOnlyList<GoldenError> errors, double tolerance)
    {
        var name = errors.Select(e => e.Tensor.Length).DefaultIfEmpty(0).Max();
        foreach (var e in errors)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{(e.Passes(tolerance) ? "ok  " : "FAIL")}  {e.Tensor.PadRight(name)}  {e.Layer,4}  {(e.NotCompared is null ? $"{e.Error:0.0e+00}" : $"not compared: {e.NotCompared}")}"));
        var failed = errors.Count(e => !e.Passes(tolerance));
        var worst = errors.Where(e => e.NotCompared is null).MaxBy(e => double.IsNaN(e.Error) ? double.PositiveInfinity : e.Error);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{folder.Description.Family}: {errors.Count - failed} of {errors.Count} values within {tolerance}{(worst is null ? "" : $", the greatest error {worst.Error:0.0e+00} in {worst.Tensor}")}"));
    }
}
