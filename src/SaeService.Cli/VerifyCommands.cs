using System.CommandLine;
using System.Globalization;

namespace SaeService.Cli;

/// <summary><c>sae verify</c>: whether what is computed here is what others compute.</summary>
public static class VerifyCommands
{
    public static Command Create() => new("verify", "Compare this program's results with those of a reference")
    {
        Model(), VerifyTokenizerCommand.Create(), VerifySaeCommand.Create(),
    };

    /// <summary>The worker does it, since no other process loads libtorch; its output and exit status pass through.</summary>
    private static Command Model()
    {
        var folder = new Argument<string>("folder") { Description = "A model folder that also holds expected.safetensors: inputs, and the values of a reference's forward pass" };
        var tolerance = Tolerance("Greatest error allowed, over the greatest expected value of the same tensor and layer");
        var json = new Option<bool>("--json") { Description = "Print a JSON array instead of lines" };
        var command = new Command("model", "Run a model and compare every hook point, tensor by tensor: exit status 1 above the tolerance, 2 for a folder that cannot be used")
        {
            folder, tolerance, json,
        };
        command.SetAction((parsed, ct) => Sibling.RunAsync("Worker",
            ["verify-model", Path.GetFullPath(parsed.GetValue(folder)!), parsed.GetValue(tolerance).ToString("R", CultureInfo.InvariantCulture), parsed.GetValue(json) ? "json" : "text"], ct));
        return command;
    }

    /// <summary>A number of 0 or more, by default what float32 can be asked for.</summary>
    internal static Option<double> Tolerance(string description)
    {
        var tolerance = new Option<double>("--tolerance") { Description = description, DefaultValueFactory = _ => 2e-5 };
        tolerance.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !(double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && value is >= 0 and < double.PositiveInfinity))
                result.AddError("--tolerance must be a number of 0 or more");
        });
        return tolerance;
    }
}
