using System.Diagnostics;

namespace SaeService.Cli;

/// <summary>The other executables of the service: beside this one in the build output, or in api/ and worker/ of a published service.</summary>
internal static class Sibling
{
    /// <summary>Path of the assembly; SAE_API or SAE_WORKER may name another.</summary>
    public static string Find(string name)
    {
        var file = $"SaeService.{name}.dll";
        if (Environment.GetEnvironmentVariable($"SAE_{name.ToUpperInvariant()}") is { Length: > 0 } named)
            return named;
        var here = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        string[] places =
        [
            Path.Combine(here, "..", "..", $"SaeService.{name}", Path.GetFileName(here), file),
            Path.Combine(here, "..", name.ToLowerInvariant(), file),
        ];
        return places.Select(Path.GetFullPath).FirstOrDefault(File.Exists)
            ?? throw new CliException($"{file} was not found at {string.Join(" or ", places.Select(Path.GetFullPath))}; build the solution, or set SAE_{name.ToUpperInvariant()}");
    }

    /// <summary>How to start it: by the muxer that runs this process, wherever that is installed.</summary>
    public static ProcessStartInfo Start(string assembly, params ReadOnlySpan<string> arguments)
    {
        var muxer = Environment.ProcessPath is { } self && Path.GetFileNameWithoutExtension(self) == "dotnet" ? self : "dotnet";
        return new ProcessStartInfo(muxer, [assembly, .. arguments]) { UseShellExecute = false };
    }

    /// <summary>Runs it to its end, and gives its exit status and what it wrote to standard output; what it writes to standard error passes through.</summary>
    public static async Task<(int Status, string Output)> CaptureAsync(string name, string[] arguments, CancellationToken ct)
    {
        var start = Start(Find(name), arguments);
        start.RedirectStandardOutput = true;
        using var process = Process.Start(start)!;
        try
        {
            var output = await process.StandardOutput.ReadToEndAsync(ct);
            await process.WaitForExitAsync(ct);
            return (process.ExitCode, output);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>Runs it to its end on this process's console, and gives its exit status.</summary>
    public static async Task<int> RunAsync(string name, string[] arguments, CancellationToken ct)
    {
        using var process = Process.Start(Start(Find(name), arguments))!;
        try
        {
            await process.WaitForExitAsync(ct);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
        return process.ExitCode;
    }
}
