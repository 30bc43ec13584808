using System.Collections;

namespace SaeService.Columns;

/// <summary>A column that is appended to, where its length is not known before.</summary>
public sealed class ColumnList<T>(ScratchSpace space, int capacity = 256) : IEnumerable<T> where T : unmanaged
{
    private Column<T> _column = space.New<T>(capacity);

    public int Count { get; private set; }

    public ref T this[int index] => ref _column[index];

    /// <summary>What was added so far.</summary>
    public Span<T> Span => _column.Span[..Count];

    public void Add(T value)
    {
        if (Count == _column.Length)
            Grow(Count + 1L);
        _column[Count++] = value;
    }

    public void AddRange(ReadOnlySpan<T> values)
    {
        if (values.Length > _column.Length - Count)
            Grow((long)Count + values.Length);
        values.CopyTo(_column.Span[Count..]);
        Count += values.Length;
    }

    /// <summary>What was added. Not to be added to after.</summary>
    public Column<T> Complete() => _column = _column.First(Count);

    public IEnumerator<T> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
            yield return _column[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private void Grow(long needed)
    {
        if (needed > Array.MaxLength)
            throw new InvalidOperationException($"{needed} values are more than a column can hold, {Array.MaxLength}");
        var grown = space.New<T>((int)Math.Min(Array.MaxLength, Math.Max(needed, 2L * _column.Length)));
        _column.Span[..Count].CopyTo(grown.Span);
        space.Free(_column);
        _column = grown;
    }
}
