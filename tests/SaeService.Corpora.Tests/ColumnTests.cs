using System.Diagnostics;
using SaeService.Columns;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class ColumnTests : IDisposable
{
    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory().FullName, "scratch");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    [Fact]
    public void A_column_in_a_file_is_one_in_memory()
    {
        using var scratch = new ScratchSpace(_folder, inFileFrom: 1);
        var filed = scratch.New(1000, i => 3L * i);
        Column<long> held = [.. Enumerable.Range(0, 1000).Select(i => 3L * i)];
        Assert.Equal(held.ToArray(), filed.ToArray());
        Assert.Equal(held.Skip(7), filed.Skip(7));
        foreach (var column in new[] { held, filed })
        {
            Assert.Equal((0L, 2997L, 297L), (column[0], column[^1], column[99]));
            Assert.Equal([30L, 33L], column[10..12].ToArray());
            Assert.Equal([0L, 3L, 6L], column.First(3).ToArray());
            Assert.Throws<IndexOutOfRangeException>(() => column[1000]);
            Assert.Throws<IndexOutOfRangeException>(() => column[-1]);
            column[5]++;
            Assert.Equal(16L, column.Span[5]);
            using var stream = new MemoryStream();
            column.WriteTo(stream);
            Assert.Equal(8000, stream.Length);
        }
        Assert.All(scratch.New<int>(5000), value => Assert.Equal(0, value));
        Assert.Equal(0, scratch.New<int>(0).Length);
    }

    [Fact]
    public void A_column_that_grows_keeps_what_it_has_and_gives_back_where_it_was()
    {
        using var scratch = new ScratchSpace(_folder, inFileFrom: 1);
        var list = new ColumnList<int>(scratch);
        for (var i = 0; i < 5000; i++)
            if (i % 10 == 0)
                list.AddRange([i, -i]);
            else
                list.Add(i);
        Assert.Equal(5500, list.Count);
        Assert.Equal(Enumerable.Range(0, 5000).SelectMany(i => i % 10 == 0 ? new[] { i, -i } : [i]), list.Complete());
        if (OperatingSystem.IsLinux())
            Assert.Single(MappedScratch());
    }

    [Fact]
    public void Strings_come_back_as_they_were_put_in()
    {
        using var scratch = new ScratchSpace(_folder, inFileFrom: 1);
        string[] strings = ["", "word", "שלום", "漢字 and 🙂", "", "end"];
        var list = new StringColumnList(scratch);
        foreach (var s in strings)
            list.Add(s);
        var column = list.Complete();
        Assert.Equal(strings, column.ToArray());
        Assert.Equal(strings.Select(s => s.Length), Enumerable.Range(0, column.Length).Select(column.LengthOf));
    }

    [Fact]
    public void Files_have_no_names_and_their_places_go_with_the_space()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("on Windows the files have names until they are closed");
        var scratch = new ScratchSpace(_folder, inFileFrom: 1);
        var outer = scratch.New<int>(100_000);
        using (var inner = scratch.Inner())
            _ = inner.New<int>(100_000);
        outer[^1] = 1; // what is outside is still there
        Assert.Single(MappedScratch());
        // A process that is killed leaves nothing either: there is nothing to be left.
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
        scratch.Dispose();
        Assert.Empty(MappedScratch());
    }

    [Fact]
    public void A_disk_that_is_full_is_an_error_that_says_so_and_no_signal()
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root")
            Assert.Skip("needs a file system of its own, which root can mount");
        Directory.CreateDirectory(_folder);
        if (Mount("mount", "-t", "tmpfs", "-o", "size=1m", "none", _folder) != 0)
            Assert.Skip("mounting is not allowed here");
        try
        {
            using var scratch = new ScratchSpace(_folder, inFileFrom: 1);
            scratch.New<byte>(1 << 19).Span.Fill(1);
            var error = Assert.Throws<IOException>(() => scratch.New<byte>(1 << 22));
            Assert.Contains($"{_folder} has no room for {1 << 22} bytes", error.Message);
            Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
        }
        finally
        {
            Mount("umount", _folder);
        }
    }

    private static int Mount(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    /// <summary>Mapped files of the folder: their names are gone, and the kernel says so.</summary>
    private string[] MappedScratch() => [.. File.ReadLines("/proc/self/maps").Where(line => line.Contains(_folder, StringComparison.Ordinal))];
}
