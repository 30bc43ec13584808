namespace SaeService.Storage;

public enum RootedPathFault { NotFound, Outside }

/// <summary>A name or path that leads to nothing, or out of the operator's folders.</summary>
public sealed class RootedPathException(RootedPathFault fault, string message) : Exception(message)
{
    public RootedPathFault Fault { get; } = fault;
}

/// <summary>
/// Folders of the operator in which clients may name things. A client's word is never used as a path before every component of it is
/// resolved: <c>..</c> and symbolic links are followed first, then the result must lie inside a root.
/// </summary>
public sealed class FolderRoots
{
    private const int MaxLinks = 40; // as the kernel has it
    private readonly IReadOnlyDictionary<string, string> _named;
    private readonly IReadOnlyList<string> _roots;

    /// <param name="roots">Folders; those that do not exist are passed over.</param>
    /// <param name="named">Names with a place of their own, such as the bundled sample.</param>
    public FolderRoots(IEnumerable<string> roots, IReadOnlyDictionary<string, string>? named = null)
    {
        _roots = roots.Where(Directory.Exists).Select(Canonical).Distinct().ToList();
        _named = (named ?? new Dictionary<string, string>()).Where(entry => Path.Exists(entry.Value))
            .ToDictionary(entry => entry.Key, entry => Canonical(entry.Value));
    }

    /// <summary>The roots, canonical.</summary>
    public IReadOnlyList<string> Roots => _roots;

    /// <summary>Names with a place of their own.</summary>
    public IReadOnlyDictionary<string, string> Named => _named;

    /// <summary>The canonical path that <paramref name="id"/> stands for: one of the names, a relative path under a root, or a full path inside one.</summary>
    /// <exception cref="RootedPathException">Nothing is there, or it is outside every root. The message never says what is outside.</exception>
    public string Resolve(string id)
    {
        if (_named.TryGetValue(id, out var place))
            return place;
        if (id.Length is 0 or > 4096 || id.AsSpan().ContainsAnyInRange('\0', '\u001f'))
            throw new RootedPathException(RootedPathFault.NotFound, $"'{Shown(id)}' is not a usable name");
        var outside = false;
        var candidates = Path.IsPathFullyQualified(id) ? [id] : _roots.Select(root => Path.Combine(root, id));
        foreach (var candidate in candidates)
        {
            string canonical;
            try
            {
                canonical = Canonical(candidate);
            }
            catch (IOException)
            {
                outside = true; // a loop of links leads nowhere that is allowed
                continue;
            }
            if (!IsInsideARoot(canonical))
                outside = true;
            else if (Path.Exists(canonical))
                return canonical;
        }
        // Whether a path outside exists must not be told, so that question comes first.
        throw outside
            ? new RootedPathException(RootedPathFault.Outside, $"'{Shown(id)}' leads outside the folders that the operator allows")
            : new RootedPathException(RootedPathFault.NotFound, $"'{Shown(id)}' is not in any of the folders that the operator allows");
    }

    /// <summary>Whether a file of a resolved folder stays inside too, once its own links are followed.</summary>
    public bool Contains(string path)
    {
        try
        {
            var canonical = Canonical(path);
            return IsInsideARoot(canonical) || _named.Values.Any(place => IsInside(canonical, place));
        }
        catch (IOException)
        {
            return false;
        }
    }

    private bool IsInsideARoot(string canonical) => _roots.Any(root => IsInside(canonical, root));

    private static bool IsInside(string canonical, string folder) =>
        canonical.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>The full path with every symbolic link of every component followed, as <c>realpath -m</c> does it: the end need not exist.</summary>
    /// <exception cref="IOException">Too many links.</exception>
    public static string Canonical(string path)
    {
        if (!Path.IsPathFullyQualified(path))
            path = Path.Combine(Environment.CurrentDirectory, path);
        var resolved = Path.GetPathRoot(path)!;
        var rest = new Stack<string>(Parts(path[resolved.Length..]).Reverse());
        var links = 0;
        while (rest.TryPop(out var part))
        {
            if (part == ".")
                continue;
            if (part == "..")
            {
                // After the links before it, so a parent is that of the link's target, not of the link.
                resolved = Path.GetDirectoryName(resolved) ?? resolved;
                continue;
            }
            var next = Path.Combine(resolved, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                resolved = next;
                continue;
            }
            if (++links > MaxLinks)
                throw new IOException($"too many symbolic links in '{path}'");
            if (Path.IsPathFullyQualified(target))
            {
                resolved = Path.GetPathRoot(target)!;
                target = target[resolved.Length..];
            }
            foreach (var step in Parts(target).Reverse())
                rest.Push(step);
        }
        return resolved;
    }

    private static IEnumerable<string> Parts(string path) =>
        path.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries);

    private static string Shown(string id) => id.Length <= 200 ? id : id[..200] + "…";
}
