using System.Text.RegularExpressions;
using System.Xml.Linq;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Architecture.Tests;

/// <summary>The direction of references, and what no room may hold. The rules are those of the README's table.</summary>
public sealed partial class HouseTests
{
    private static readonly string s_src = Path.Combine(SharedData.RepositoryRoot, "src");

    /// <summary>Everything that a project may refer to, its own kind and packages that matter.</summary>
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Contracts"] = [],
        ["Columns"] = [],
        ["Checkpoints"] = [],
        ["Transformers"] = ["Checkpoints", "TorchSharp"],
        ["Corpora"] = ["Checkpoints", "Columns"],
        ["Autoencoders"] = ["Checkpoints", "Columns"],
        ["Autoencoders.Torch"] = ["Autoencoders", "TorchSharp"],
        ["Interpretation"] = ["Contracts", "Autoencoders", "TorchSharp"],
        ["Estimates"] = ["Contracts", "Autoencoders"],
        ["Figures"] = ["Contracts", "ScottPlot"],
        ["Sources"] = ["Contracts", "Checkpoints"],
        ["Storage"] = ["Contracts", "EF"],
        ["Queueing"] = ["Contracts", "Storage", "Hangfire"],
        ["Pipeline"] = ["Contracts", "Checkpoints", "Transformers", "Corpora", "Autoencoders", "Autoencoders.Torch", "Interpretation", "Estimates", "Sources", "Storage",
            "Queueing"],
        ["Worker"] = ["Pipeline", "Sample", "AspNetCore"],
        ["Api"] = ["Contracts", "Autoencoders", "Checkpoints", "Corpora", "Estimates", "Figures", "Sources", "Storage", "Queueing", "Hangfire", "EF", "AspNetCore"],
        ["Cli"] = ["Contracts", "Checkpoints", "Corpora", "Autoencoders", "Storage", "Queueing", "Api (started)", "Worker (started)"],
        ["Sample"] = ["Transformers", "Corpora", "Checkpoints"],
    };

    private static IEnumerable<string> Projects => Directory.EnumerateDirectories(s_src).Select(f => Path.GetFileName(f)["SaeService.".Length..]).Order(StringComparer.Ordinal);

    private static IEnumerable<string> References(string project)
    {
        var file = XDocument.Load(Path.Combine(s_src, $"SaeService.{project}", $"SaeService.{project}.csproj"));
        foreach (var reference in file.Descendants("ProjectReference"))
            yield return Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value)["SaeService.".Length..]
                + (reference.Attribute("ReferenceOutputAssembly")?.Value == "false" ? " (started)" : "");
        foreach (var package in file.Descendants("PackageReference").Select(p => p.Attribute("Include")!.Value))
            if (package.StartsWith("TorchSharp", StringComparison.Ordinal) || package.StartsWith("libtorch", StringComparison.Ordinal))
                yield return "TorchSharp";
            else if (package.StartsWith("ScottPlot", StringComparison.Ordinal) || package.StartsWith("SkiaSharp", StringComparison.Ordinal))
                yield return "ScottPlot";
            else if (package.StartsWith("Hangfire", StringComparison.Ordinal))
                yield return "Hangfire";
            else if (package.Contains("EntityFrameworkCore", StringComparison.Ordinal))
                yield return "EF";
        if (file.Root!.Attribute("Sdk")!.Value.EndsWith(".Web", StringComparison.Ordinal) || file.Descendants("FrameworkReference").Any())
            yield return "AspNetCore";
    }

    public static TheoryData<string> AllProjects => [.. Projects];

    [Theory]
    [MemberData(nameof(AllProjects))]
    public void A_project_refers_only_to_what_it_may(string project) =>
        Assert.Empty(References(project).Except(s_allowed[project]));

    [Fact]
    public void Every_room_of_the_house_stands() => Assert.Equal(s_allowed.Keys.Order(StringComparer.Ordinal), Projects);

    [Fact]
    public void The_interface_is_nowhere_near_libtorch()
    {
        var reached = new HashSet<string>();
        void Reach(string project)
        {
            foreach (var reference in References(project).Where(reached.Add))
                if (s_allowed.ContainsKey(reference))
                    Reach(reference);
        }
        Reach("Api");
        Reach("Cli");
        Assert.DoesNotContain("TorchSharp", reached);
        Assert.Contains("Queueing", reached);
    }

    [Fact]
    public void Numeric_rooms_know_nothing_of_databases_queues_or_the_web()
    {
        foreach (var project in new[] { "Columns", "Checkpoints", "Transformers", "Corpora", "Autoencoders", "Autoencoders.Torch", "Interpretation" })
            Assert.Empty(References(project).Intersect(["Storage", "Queueing", "Pipeline", "EF", "Hangfire", "AspNetCore"]));
    }

    [Fact]
    public void Source_files_stay_readable_finished_and_safe()
    {
        var faults = new List<string>();
        foreach (var file in Directory.EnumerateFiles(s_src, "*.cs", SearchOption.AllDirectories))
        {
            if (Generated().IsMatch(file))
                continue;
            var lines = File.ReadAllLines(file);
            var name = Path.GetRelativePath(SharedData.RepositoryRoot, file);
            if (lines.Length > 500)
                faults.Add($"{name}: {lines.Length} lines; two rooms would be better");
            for (var i = 0; i < lines.Length; i++)
                if (Unfinished().IsMatch(lines[i]) || Unsafe().IsMatch(lines[i]))
                    faults.Add($"{name}:{i + 1}: {lines[i].Trim()}");
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void Every_package_version_is_pinned_in_one_place()
    {
        foreach (var file in Directory.EnumerateFiles(SharedData.RepositoryRoot, "*.csproj", SearchOption.AllDirectories))
            Assert.DoesNotContain(XDocument.Load(file).Descendants("PackageReference"), p => p.Attribute("Version") is not null || p.Element("Version") is not null);
        foreach (var version in XDocument.Load(Path.Combine(SharedData.RepositoryRoot, "Directory.Packages.props")).Descendants("PackageVersion"))
            Assert.Matches(@"^\d+(\.\d+)+$", version.Attribute("Version")!.Value); // exact, and no prerelease
    }

    [GeneratedRegex(@"[/\\](obj|Migrations)[/\\]")]
    private static partial Regex Generated();

    [GeneratedRegex(@"\bTODO\b|\bFIXME\b|\bHACK\b|NotImplementedException")]
    private static partial Regex Unfinished();

    // These abort the process on a C++ error; nothing that arrives is unpickled.
    [GeneratedRegex(@"\.matmul\(|autograd\.grad\(|BinaryFormatter|torch\.load\(")]
    private static partial Regex Unsafe();
}
