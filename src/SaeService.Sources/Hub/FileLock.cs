namespace SaeService.Sources;

/// <summary>
/// A lock between processes: a file held open alone, which the system lets go of with its process. On Unix this is flock, as in Hugging Face's
/// tools, so that they and this service wait for each other too.
/// </summary>
internal sealed class FileLock : IDisposable
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private readonly FileStream _file;

    private FileLock(FileStream file) => _file = file;

    public static FileLock? TryTake(string path)
    {
        try
        {
            return new FileLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1));
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or PathTooLongException))
        {
            return null;
        }
    }

    public static async Task<FileLock> TakeAsync(string path, CancellationToken ct)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        while (true)
        {
            if (TryTake(path) is { } taken)
                return taken;
            await Task.Delay(s_poll, ct);
        }
    }

    public void Dispose() => _file.Dispose();
}
