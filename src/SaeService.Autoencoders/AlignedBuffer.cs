namespace SaeService.Autoencoders;

/// <summary>
/// A zeroed array that starts on a cache line and never moves, so that kernels may keep its address. It lives in the managed pinned heap:
/// nobody has to free it. An owner must stay reachable while a kernel runs on its <see cref="Pointer"/>.
/// </summary>
internal sealed unsafe class AlignedBuffer<T> where T : unmanaged
{
    private const int Alignment = 64;
    private readonly T[] memory;

    public AlignedBuffer(long length)
    {
        var padding = Alignment / sizeof(T);
        if (length < 0 || length > Array.MaxLength - padding)
            throw new ArgumentOutOfRangeException(nameof(length), $"a buffer of {length} elements is more than one array can hold");
        Length = (int)length;
        memory = GC.AllocateArray<T>(Length + padding, pinned: true);
        fixed (T* start = memory)
            Pointer = (T*)(((nuint)start + Alignment - 1) & ~(nuint)(Alignment - 1));
    }

    public int Length { get; }
    public T* Pointer { get; }
    public Span<T> Span => new(Pointer, Length);
    public Span<T> Slice(long start, int length) => Span.Slice(checked((int)start), length);
}
