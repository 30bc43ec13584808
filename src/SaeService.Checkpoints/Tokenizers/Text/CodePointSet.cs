using System.Globalization;

namespace SaeService.Checkpoints;

/// <summary>An immutable set of code points, kept as sorted ranges that do not touch, with a bitmap for the basic plane.</summary>
internal sealed class CodePointSet
{
    public const int Last = 0x10FFFF;

    public static readonly CodePointSet Empty = new([]);
    public static readonly CodePointSet All = new([(0, Last)]);

    private static readonly Lazy<CodePointSet[]> s_categories = new(ReadCategories);

    private readonly (int First, int Last)[] _ranges;
    private readonly ulong[] _basic = new ulong[0x10000 / 64];
    private readonly int _firstAstral;

    private CodePointSet((int First, int Last)[] ranges)
    {
        _ranges = ranges;
        _firstAstral = ranges.Length;
        for (var i = ranges.Length - 1; i >= 0 && ranges[i].Last > 0xFFFF; i--)
            _firstAstral = i;
        foreach (var (first, last) in ranges)
            for (var c = first; c <= last && c <= 0xFFFF; c++)
                _basic[c >> 6] |= 1UL << c;
    }

    public IReadOnlyList<(int First, int Last)> Ranges => _ranges;

    public static CodePointSet Of(params IEnumerable<(int First, int Last)> ranges)
    {
        var merged = new List<(int First, int Last)>();
        foreach (var (first, last) in ranges.OrderBy(r => r.First))
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
                merged[^1] = (merged[^1].First, Math.Max(last, merged[^1].Last));
            else
                merged.Add((first, last));
        return new([.. merged]);
    }

    public static CodePointSet Of(int codePoint) => new([(codePoint, codePoint)]);

    /// <summary>All code points of a general category; the runtime's table is of Unicode 16, as Oniguruma's is.</summary>
    public static CodePointSet Of(UnicodeCategory category) => s_categories.Value[(int)category];

    public bool Contains(int codePoint)
    {
        if (codePoint <= 0xFFFF)
            return (_basic[codePoint >> 6] >> codePoint & 1) != 0;
        int low = _firstAstral, high = _ranges.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (codePoint < _ranges[middle].First)
                high = middle - 1;
            else if (codePoint > _ranges[middle].Last)
                low = middle + 1;
            else
                return true;
        }
        return false;
    }

    public CodePointSet Union(params IEnumerable<CodePointSet> others) => Of(_ranges.Concat(others.SelectMany(o => o._ranges)));

    public CodePointSet Complement()
    {
        var gaps = new List<(int, int)>();
        var next = 0;
        foreach (var (first, last) in _ranges)
        {
            if (first > next)
                gaps.Add((next, first - 1));
            next = last + 1;
        }
        if (next <= Last)
            gaps.Add((next, Last));
        return new([.. gaps]);
    }

    public CodePointSet Intersect(CodePointSet other) => Complement().Union(other.Complement()).Complement();

    private static CodePointSet[] ReadCategories()
    {
        var ranges = Enum.GetValues<UnicodeCategory>().Select(_ => new List<(int First, int Last)>()).ToArray();
        for (var c = 0; c <= Last; c++)
        {
            var own = ranges[(int)CharUnicodeInfo.GetUnicodeCategory(c)];
            if (own.Count > 0 && own[^1].Last == c - 1)
                own[^1] = (own[^1].First, c);
            else
                own.Add((c, c));
        }
        return [.. ranges.Select(r => new CodePointSet([.. r]))];
    }
}
