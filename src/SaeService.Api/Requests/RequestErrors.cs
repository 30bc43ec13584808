using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <summary>Collects what is wrong with a request, so that one answer names all of it.</summary>
public sealed class RequestErrors
{
    private readonly List<(string Code, string Path, string Message)> _found = [];

    public bool Any => _found.Count > 0;

    public void Add(string code, string path, string message) => _found.Add((code, path, message));

    public void Add(ProblemException e)
    {
        foreach (var (path, messages) in e.Errors ?? new Dictionary<string, string[]> { ["$"] = [e.Message] })
            foreach (var message in messages)
                Add(e.Code, path, message);
    }

    public void Add(RequestErrors others) => _found.AddRange(others._found);

    /// <summary>Throws one problem: of the code that all share, or <c>invalid_request</c> where they differ.</summary>
    public void ThrowIfAny()
    {
        if (!Any)
            return;
        var codes = _found.Select(e => e.Code).Distinct().ToList();
        var errors = _found.GroupBy(e => e.Path).ToDictionary(g => g.Key, g => g.Select(e => e.Message).ToArray());
        var detail = string.Join("; ", _found.Take(5).Select(e => e.Path == "$" ? e.Message : $"{e.Path}: {e.Message}"));
        if (_found.Count > 5)
            detail += $"; and {_found.Count - 5} more";
        throw new ProblemException(codes.Count == 1 ? codes[0] : ProblemCodes.InvalidRequest, detail, errors: errors);
    }
}
