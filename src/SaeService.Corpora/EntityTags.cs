namespace SaeService.Corpora;

/// <summary>
/// Chunk tags in IOB1, IOB2, IOBES, BILOU or as plain types, brought to IOB2. The rules of conlleval decide where a chunk begins; they read all
/// these schemes alike, so a file need not be read ahead to know which one it has.
/// </summary>
public static class EntityTags
{
    /// <summary>Replaces each tag by its IOB2 form, in place. Null (no annotation) ends a chunk and stays null.</summary>
    /// <returns>The index of the first tag that is none (an empty type, a prefix alone), or -1.</returns>
    public static int ToIob2(Span<string?> tags)
    {
        var (open, openType) = (false, "");
        for (var i = 0; i < tags.Length; i++)
        {
            if (tags[i] is not { } tag || tag == "O")
            {
                open = false;
                continue;
            }
            if (!TryParse(tag, out var prefix, out var type))
                return i;
            var begins = prefix is 'B' or 'S' or 'U' || !open || !type.SequenceEqual(openType);
            tags[i] = $"{(begins ? 'B' : 'I')}-{type}";
            openType = type.ToString();
            open = prefix is not ('E' or 'L' or 'S' or 'U');
        }
        return -1;
    }

    /// <summary>Replaces the brackets of CoNLL-2012, <c>(PERSON*</c>, <c>*</c>, <c>*)</c>, <c>(GPE)</c>, by IOB2 tags, in place.</summary>
    /// <returns>The index of the first that is none, or does not fit those before it, or -1.</returns>
    public static int FromBrackets(Span<string?> tags)
    {
        string? open = null;
        for (var i = 0; i < tags.Length; i++)
        {
            var tag = tags[i].AsSpan();
            var (opens, closes) = (tag.StartsWith("("), tag.EndsWith(")"));
            var type = tag.TrimStart('(').TrimEnd(')').TrimEnd('*');
            if (tag.IsEmpty || (opens ? open is not null || type.IsEmpty || type.ContainsAny("()*") : !type.IsEmpty || (closes && open is null)))
                return i;
            open = opens ? type.ToString() : open;
            tags[i] = open is null ? "O" : $"{(opens ? 'B' : 'I')}-{open}";
            open = closes ? null : open;
        }
        return open is null ? -1 : tags.Length - 1;
    }

    /// <summary>The type of an IOB2 tag, O or null.</summary>
    public static string? TypeOf(string? iob2) => iob2 is null or "O" ? iob2 : iob2[2..];

    /// <summary>Parts a tag into prefix and type; a tag without one of the prefixes is a plain type, which continues an equal one before it.</summary>
    private static bool TryParse(string tag, out char prefix, out ReadOnlySpan<char> type)
    {
        prefix = 'I';
        type = tag;
        if (tag.Length >= 2 && tag[1] == '-' && "BIESLUM".Contains(tag[0]))
        {
            prefix = tag[0];
            type = tag.AsSpan(2);
        }
        else if (tag.Length == 1 && "BIESLUM".Contains(tag[0]))
            type = default;
        return !type.IsEmpty;
    }
}
