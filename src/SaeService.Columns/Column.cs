using System.Collections;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SaeService.Columns;

/// <summary>
/// One value for each word, token or activation of a corpus: an array that may lie in a mapped file (<see cref="ScratchSpace"/>), so that what grows with the corpus need not be
/// held in memory. Used like an array; an array is one.
/// </summary>
/// <remarks>Of a column in a file nothing may be touched once its <see cref="ScratchSpace"/> is gone.</remarks>
[CollectionBuilder(typeof(Column), nameof(Column.Of))]
public readonly unsafe struct Column<T> : IEnumerable<T> where T : unmanaged
{
    private readonly T[]? _array;
    private readonly T* _mapped;

    public Column(T[] array) => (_array, Length) = (array, array.Length);

    internal Column(T* mapped, int length)
    {
        _mapped = mapped;
        Length = length;
    }

    public int Length { get; }

    public Span<T> Span
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _mapped == null ? _array : new Span<T>(_mapped, Length);
    }

    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (_mapped == null)
                return ref _array![index];
            if ((uint)index >= (uint)Length)
                OutOfRange();
            return ref _mapped[index];
        }
    }

    public ref T this[long index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref this[checked((int)index)];
    }

    public ref T this[Index index] => ref this[index.GetOffset(Length)];

    /// <summary>What <c>column[from..to]</c> means: a view.</summary>
    public Span<T> Slice(int start, int length) => Span.Slice(start, length);

    /// <summary>The first so many; in a file, a view of them.</summary>
    public Column<T> First(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length);
        return _mapped != null ? new(_mapped, length) : length == Length ? this : new(_array.AsSpan(0, length).ToArray());
    }

    public T[] ToArray() => Span.ToArray();

    /// <summary>Writes the values as they lie in memory, in pieces: the bytes of a long column do not fit a span.</summary>
    public void WriteTo(Stream stream)
    {
        const int Piece = 1 << 20;
        for (var from = 0; from < Length; from += Piece)
            stream.Write(MemoryMarshal.AsBytes(Span.Slice(from, Math.Min(Piece, Length - from))));
    }

    public static implicit operator Column<T>(T[] array) => new(array);
    public static implicit operator ReadOnlySpan<T>(Column<T> column) => column.Span;

    public Span<T>.Enumerator GetEnumerator() => Span.GetEnumerator();

    IEnumerator<T> IEnumerable<T>.GetEnumerator()
    {
        for (var i = 0; i < Length; i++)
            yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => ((IEnumerable<T>)this).GetEnumerator();

    private static void OutOfRange() => throw new IndexOutOfRangeException();
}

public static class Column
{
    public static Column<T> Of<T>(ReadOnlySpan<T> values) where T : unmanaged => new(values.ToArray());
}
