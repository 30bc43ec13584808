using System.Text.RegularExpressions;

namespace SaeService.Sources;

public enum RepoKind { Model, Dataset }

/// <summary>A repository of the hub: <c>owner/name</c>, or an old <c>name</c> without owner.</summary>
public sealed partial record HubRepo
{
    private HubRepo(RepoKind kind, string id) => (Kind, Id) = (kind, id);

    public RepoKind Kind { get; }
    public string Id { get; }

    /// <summary>Its folder in a cache, as Hugging Face's tools name it.</summary>
    public string Folder => (Kind == RepoKind.Model ? "models--" : "datasets--") + Id.Replace("/", "--", StringComparison.Ordinal);

    /// <summary>The hub's own rules: letters, digits, '-', '_' and '.', at most 96 characters a part; no "--" and no ".." in it, none of '-' and '.' at an end.</summary>
    public static bool IsId(string id) => IdPattern().IsMatch(id) && !id.Contains("--", StringComparison.Ordinal) && !id.Contains("..", StringComparison.Ordinal)
        && !id.EndsWith(".git", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="SourceException">Refused: no such id can exist.</exception>
    public static HubRepo Of(RepoKind kind, string id) => IsId(id) ? new(kind, id)
        : throw new SourceException(SourceFault.Refused, $"'{(id.Length <= 100 ? id : id[..100] + "…")}' is no id of the hub: owner/name of letters, digits, '-', '_' and '.'");

    /// <summary>Whether it is a whole commit hash, which names the same files for ever.</summary>
    public static bool IsCommit(string revision) => revision.Length == 40 && revision.All(c => c is >= '0' and <= '9' or >= 'a' and <= 'f');

    /// <summary>A branch, a tag or a commit, by git's rules and shorter.</summary>
    public static bool IsRevision(string revision) => RevisionPattern().IsMatch(revision) && !revision.Contains("..", StringComparison.Ordinal)
        && !revision.Split('/').Any(part => part.StartsWith('.') || part.EndsWith('.') || part.EndsWith(".lock", StringComparison.OrdinalIgnoreCase));

    // The first part is an owner only where there is a second.
    [GeneratedRegex(@"\A(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?/)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?\z")]
    private static partial Regex IdPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}(?:/[A-Za-z0-9_.+-]{1,100}){0,5}\z")]
    private static partial Regex RevisionPattern();
}
