using System.Globalization;
using SaeService.Api.Problems;
using SaeService.Api.Results;

namespace SaeService.Api.Explorer;

/// <summary>The form above a table of features: what the address asks for, and addresses that ask for something else.</summary>
/// <param name="path">Of the table.</param>
public sealed class FeatureFilter(string path, IQueryCollection asked)
{
    /// <summary>Parameters that choose rows, in the order of the form, with what to call them.</summary>
    private static readonly (string Name, string Title)[] s_filters =
    [
        ("q", "search"), ("task", "task"), ("label", "label"), ("kind", "kind"), ("consistent", "consistent"), ("min_support", "support at least"),
        ("min_consistency", "consistency at least"), ("min_f1", "F1 at least"), ("min_density", "density at least"), ("max_density", "density at most"),
    ];

    /// <summary>Of a parameter; null where it is not there, or an empty field of the form.</summary>
    public string? this[string name] => asked[name].FirstOrDefault(v => !string.IsNullOrWhiteSpace(v));

    /// <exception cref="Contracts.ProblemException">invalid_parameter.</exception>
    public FeatureQuery Query => new()
    {
        Search = this["q"],
        Task = this["task"],
        Label = this["label"],
        Kind = this["kind"],
        Consistent = this["consistent"] switch { null => null, "true" => true, "false" => false, _ => throw ProblemMetadataExtensions.Parameter("consistent", "must be true or false") },
        MinSupport = Whole("min_support"),
        MinConsistency = Number("min_consistency"),
        MinF1 = Number("min_f1"),
        MinDensity = Number("min_density"),
        MaxDensity = Number("max_density"),
        Sort = this["sort"],
        Order = this["order"],
        After = this["after"],
        Before = this["before"],
        Limit = Whole("limit"),
    };

    /// <summary>What rows are chosen by, with the address of the table without it.</summary>
    public IReadOnlyList<(string Title, string Value, string Without)> Active =>
        [.. s_filters.Where(f => this[f.Name] is not null).Select(f => (f.Title, this[f.Name]!, Address((f.Name, null))))];

    /// <summary>The table with some parameters changed, from its first page on. Null: without it.</summary>
    public string Address(params (string Name, string? Value)[] changes)
    {
        var query = new QueryString();
        foreach (var name in s_filters.Select(f => f.Name).Append("sort").Append("order").Append("limit"))
        {
            var change = changes.Where(c => c.Name == name).ToArray();
            if ((change.Length > 0 ? change[0].Value : this[name]) is { } value)
                query = query.Add(name, value);
        }
        return path + query;
    }

    private int? Whole(string name) => this[name] is not { } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : throw ProblemMetadataExtensions.Parameter(name, "must be a whole number");

    private double? Number(string name) => this[name] is not { } text ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number
        : throw ProblemMetadataExtensions.Parameter(name, "must be a number");
}
