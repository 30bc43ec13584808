namespace SaeService.Checkpoints;

public enum CheckpointFault
{
    /// <summary>The folder or a file of it is not there.</summary>
    NotFound,

    /// <summary>Well-formed, but asks for something that this program does not compute.</summary>
    Unsupported,

    /// <summary>Damaged or contradictory.</summary>
    Invalid,

    /// <summary>The weights exist only as pickle, which is code and is never opened.</summary>
    PickleOnly,

    /// <summary>An entry points outside the model folder.</summary>
    OutsideFolder,
}

/// <summary>A folder of weights that cannot be used. The message starts with the file's name and, where there is one, the tensor or key.</summary>
public sealed class CheckpointException(CheckpointFault fault, string file, string? key, string message, Exception? inner = null)
    : Exception(Compose(file, key, message), inner)
{
    public CheckpointFault Fault { get; } = fault;

    /// <summary>Full path of the file or folder at fault.</summary>
    public string File { get; } = file;

    /// <summary>The tensor or JSON key at fault, if it is one.</summary>
    public string? Key { get; } = key;

    private static string Compose(string file, string? key, string message)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(file));
        return key is null ? $"{name}: {message}" : $"{name}: '{Shorten(key)}': {message}";
    }

    // Keys come from hostile files and may be megabytes long.
    private static string Shorten(string key) => key.Length <= 200 ? key : key[..200] + "...";
}
