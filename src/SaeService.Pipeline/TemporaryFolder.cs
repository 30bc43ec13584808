namespace SaeService.Pipeline;

/// <summary>A folder of this process's own that goes with it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("sae-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
