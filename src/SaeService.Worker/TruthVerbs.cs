using System.Globalization;
using System.Text.Json;
using SaeService.Contracts;
using SaeService.Interpretation.Truth;
using TorchSharp;

namespace SaeService.Worker;

/// <summary>
/// <c>truth RUNS SEED</c> and <c>truth-sample FILE</c>: what <c>sae bench truth</c> starts, since the worker is the only executable that loads libtorch. Checks go to
/// standard output as one JSON array, what is being done to standard error. Exit status 0 however they end, 2 where they can not be made.
/// </summary>
internal static class TruthVerbs
{
    public const string Truth = "truth", Sample = "truth-sample";

    public static int Run(string verb, string[] arguments)
    {
        try
        {
            IEnumerable<TruthCheck> checks;
            switch (verb, arguments)
            {
                case (Truth, [var runs, var seed])
                    when int.TryParse(runs, CultureInfo.InvariantCulture, out var count) && int.TryParse(seed, CultureInfo.InvariantCulture, out var number):
                    torch.InitializeDeviceType(DeviceType.CPU);
                    checks = TruthBench.Run(new TruthRun(count, Seed: number), Console.Error.WriteLine);
                    break;
                case (Sample, [var file]):
                    checks = SampleTruth.Checks(JsonSerializer.Deserialize<LayerFunctionalityDocument>(File.ReadAllBytes(file), Wire.Json)
                        ?? throw new InvalidDataException($"{file} is empty"));
                    break;
                default:
                    Console.Error.WriteLine($"usage: {Truth} RUNS SEED, or {Sample} FILE");
                    return 2;
            }
            Console.WriteLine(JsonSerializer.Serialize(checks.ToArray(), Wire.Json));
            return 0;
        }
        catch (Exception e) when (e is ArgumentException or InvalidDataException or JsonException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }
}
