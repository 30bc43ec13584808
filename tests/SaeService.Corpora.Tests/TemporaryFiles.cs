using System.Text;

namespace SaeService.Corpora.Tests;

/// <summary>A folder of a test's own, deleted after it.</summary>
public sealed class TemporaryFiles : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("corpora-").FullName;

    public string Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    public string Write(string name, byte[] content)
    {
        var path = Path.Combine(Folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    public List<Sentence> Read(string name, string content, params string[] tasks) => Read(name, Encoding.UTF8.GetBytes(content), tasks);

    public List<Sentence> Read(string name, byte[] content, params string[] tasks) =>
        [.. DatasetFolder.Open(Write(name, content)).Read(settings: new ReadSettings { Tasks = tasks.Length == 0 ? null : tasks })];

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
