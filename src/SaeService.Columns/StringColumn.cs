using System.Text;

namespace SaeService.Columns;

/// <summary>Strings of a corpus, as UTF-8 one after another.</summary>
/// <param name="end">[n] where each ends in <paramref name="utf8"/>.</param>
public sealed class StringColumn(Column<int> end, Column<byte> utf8)
{
    public int Length => end.Length;

    public string this[int index] => Encoding.UTF8.GetString(Bytes(index));

    public ReadOnlySpan<byte> Bytes(int index)
    {
        var from = index == 0 ? 0 : end[index - 1];
        return utf8.Span[from..end[index]];
    }

    /// <summary>Of the string in UTF-16 units.</summary>
    public int LengthOf(int index) => Encoding.UTF8.GetCharCount(Bytes(index));

    public static implicit operator StringColumn(string[] strings)
    {
        var list = new StringColumnList(ScratchSpace.Heap);
        foreach (var s in strings)
            list.Add(s);
        return list.Complete();
    }

    public string[] ToArray() => [.. Enumerable.Range(0, Length).Select(i => this[i])];
}

/// <summary>A <see cref="StringColumn"/> that is appended to.</summary>
public sealed class StringColumnList(ScratchSpace space)
{
    private readonly ColumnList<int> _end = new(space);
    private readonly ColumnList<byte> _utf8 = new(space);
    private byte[] _buffer = new byte[256];

    public int Count => _end.Count;

    public void Add(string value)
    {
        var most = Encoding.UTF8.GetMaxByteCount(value.Length);
        if (_buffer.Length < most)
            _buffer = new byte[most];
        Add(_buffer.AsSpan(0, Encoding.UTF8.GetBytes(value, _buffer)));
    }

    public void Add(ReadOnlySpan<byte> utf8)
    {
        _utf8.AddRange(utf8);
        _end.Add(_utf8.Count);
    }

    public StringColumn Complete() => new(_end.Complete(), _utf8.Complete());
}
