using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;

namespace SaeService.Columns;

/// <summary>
/// Where columns are made. Long ones lie in files of a folder on disk, mapped into memory: the system keeps of them what there is room for and writes out the rest, so that the
/// memory of the process itself is the same for any corpus. The files have no name (on Windows: go when they are closed) and so do not outlive the process, however it ends.
/// </summary>
/// <remarks>Columns may be made by several threads. They go with the space.</remarks>
public sealed class ScratchSpace : IDisposable
{
    /// <summary>Bytes from which a column lies in a file. Shorter ones cost less in memory, and their number does not grow with the corpus.</summary>
    public const long InFileFrom = 1 << 17;

    private readonly string? _folder;
    private readonly long _inFileFrom;
    private readonly List<Mapping> _mappings = [];

    /// <param name="folder">On a disk: a folder that lies in memory saves none. Made where absent.</param>
    public ScratchSpace(string folder, long inFileFrom = InFileFrom) : this(inFileFrom) => _folder = folder;

    private ScratchSpace(long inFileFrom) => _inFileFrom = inFileFrom;

    /// <summary>Ordinary arrays, whatever their length.</summary>
    public static ScratchSpace Heap { get; } = new(long.MaxValue);

    /// <summary>Space of the same kind that can go earlier.</summary>
    public ScratchSpace Inner() => _folder is null ? this : new(_folder, _inFileFrom);

    /// <summary>A column of zeros.</summary>
    /// <exception cref="IOException">The disk has no room for it; the message says how much is needed.</exception>
    public unsafe Column<T> New<T>(int length) where T : unmanaged
    {
        var bytes = (long)length * sizeof(T);
        if (_folder is null || bytes < _inFileFrom)
            return new T[length];
        var mapping = new Mapping(_folder, bytes);
        lock (_mappings)
            _mappings.Add(mapping);
        return new((T*)mapping.Start, length);
    }

    /// <summary>A column of what <paramref name="of"/> says of each place.</summary>
    public Column<T> New<T>(int length, Func<int, T> of) where T : unmanaged
    {
        var column = New<T>(length);
        for (var i = 0; i < length; i++)
            column[i] = of(i);
        return column;
    }

    /// <summary>Gives the place of a column back before the space goes. Nothing may read it any more.</summary>
    internal unsafe void Free<T>(Column<T> column) where T : unmanaged
    {
        if (column.Length == 0)
            return;
        var start = (nint)Unsafe.AsPointer(ref column[0]);
        lock (_mappings)
        {
            // An array's address, which may move, is that of no mapping.
            var at = _mappings.FindIndex(m => m.Start == start);
            if (at < 0)
                return;
            _mappings[at].Dispose();
            _mappings.RemoveAt(at);
        }
    }

    public void Dispose()
    {
        lock (_mappings)
        {
            _mappings.ForEach(m => m.Dispose());
            _mappings.Clear();
        }
    }

    /// <summary>A file without a name and its place in memory.</summary>
    private sealed unsafe class Mapping : IDisposable
    {
        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _view;
        private readonly byte* _start;

        public Mapping(string folder, long bytes)
        {
            Directory.CreateDirectory(folder);
            var path = Path.Combine(folder, $"{Guid.NewGuid():N}.scratch");
            FileStream stream;
            try
            {
                // With its bytes set aside: a disk that is full is an exception here, where later it would be a signal.
                stream = new FileStream(path, new FileStreamOptions
                {
                    Mode = FileMode.CreateNew,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.Delete,
                    BufferSize = 0,
                    Options = FileOptions.DeleteOnClose,
                    PreallocationSize = bytes,
                });
            }
            catch (IOException e)
            {
                throw new IOException($"{folder} has no room for {bytes} bytes of the words' numbers: {e.Message}", e);
            }
            try
            {
                if (!OperatingSystem.IsWindows())
                    File.Delete(path);
                _file = MemoryMappedFile.CreateFromFile(stream, null, bytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
            }
            catch
            {
                stream.Dispose();
                throw;
            }
            _view = _file.CreateViewAccessor(0, bytes);
            // Kept for good: should the space be forgotten, its place is lost rather than taken from under a reader.
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        }

        public nint Start => (nint)_start;

        public void Dispose()
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}
