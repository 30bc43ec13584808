using System.Text;

namespace SaeService.Sources;

/// <summary>Names of files as a server gives them, which become paths of this machine.</summary>
public static class RemoteName
{
    private const int MaxLength = 1024;
    private const int MaxPart = 200;

    /// <summary>A relative path of plain parts, which means the same on every system.</summary>
    public static bool IsPlain(string name) => name.Length is > 0 and <= MaxLength && !IsHostile(name)
        && Array.TrueForAll(name.Split('/'), part => part.Length > 0 && Encoding.UTF8.GetByteCount(part) <= MaxPart && part.AsSpan().IndexOfAny(":\\*?\"<>|") < 0
            && !part.EndsWith(' ') && !part.EndsWith('.'));

    /// <summary>A name that only serves to leave the folder it is put in, or to confuse who reads it: control characters, an absolute path, "..".</summary>
    public static bool IsHostile(string name) => name.Any(c => char.IsControl(c) || char.IsSurrogate(c) && !IsPaired(name)) || name.StartsWith('/') || name.StartsWith('\\')
        || (name.Length > 1 && name[1] == ':') || Array.Exists(name.Split('/', '\\'), part => part is ".." or ".");

    private static bool IsPaired(string name)
    {
        for (var i = 0; i < name.Length; i++)
            if (char.IsHighSurrogate(name[i]) && i + 1 < name.Length && char.IsLowSurrogate(name[i + 1]))
                i++;
            else if (char.IsSurrogate(name[i]))
                return false;
        return true;
    }
}
