using Xunit;

namespace SaeService.TestSupport;

/// <summary>
/// Real models and treebanks that belong to others and are not part of this repository. Tests find them in a folder <c>shared</c> beside
/// the repository, or where <c>SAE_SHARED</c> says, and skip with a reason where it is absent.
/// </summary>
public static class SharedData
{
    public static string RepositoryRoot { get; } = FindRepositoryRoot();

    public static string? Root { get; } = Environment.GetEnvironmentVariable("SAE_SHARED") is { Length: > 0 } named
        ? named
        : Directory.Exists(Path.Combine(RepositoryRoot, "..", "shared")) ? Path.GetFullPath(Path.Combine(RepositoryRoot, "..", "shared")) : null;

    /// <summary>The full path of <paramref name="relative"/> under the shared folder; skips the running test where it is not there.</summary>
    public static string Require(string relative)
    {
        var path = Root is null ? null : Path.Combine(Root, relative);
        if (path is null || (!File.Exists(path) && !Directory.Exists(path)))
            Assert.Skip($"needs '{relative}' of the shared data, which is not beside this checkout (set SAE_SHARED to its folder)");
        return path;
    }

    private static string FindRepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "SaeService.sln")))
                return folder.FullName;
        throw new InvalidOperationException($"no SaeService.sln above {AppContext.BaseDirectory}");
    }
}
