using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class ActivationFileTests
{
    [Fact]
    public void Rows_written_in_any_order_by_many_threads_are_read_by_number()
    {
        using var scratch = new Scratch();
        const int Rows = 1000, D = 5;
        using (var writer = new ActivationWriter(scratch["a"], Rows, D))
        {
            Parallel.For(0, Rows / 10, block => writer.Write((Rows / 10 - 1 - block) * 10, Block((Rows / 10 - 1 - block) * 10)));
            writer.Complete();
        }
        using var file = ActivationFile.Open(scratch["a"], D);
        Assert.Equal((Rows, D), (file.Rows, file.Dim));
        int[] rows = [999, 0, 1, 2, 500, 3, 3];
        var x = new float[rows.Length * D];
        file.Gather(rows, x);
        for (var i = 0; i < rows.Length; i++)
            Assert.Equal(Enumerable.Range(0, D).Select(j => rows[i] + j / 8f), x[(i * D)..(i * D + D)]);

        static float[] Block(int first) => [.. Enumerable.Range(0, 10 * D).Select(i => first + i / D + i % D / 8f)];
    }

    [Fact]
    public void What_is_missing_double_not_finite_or_outside_is_said()
    {
        using var scratch = new Scratch();
        using (var writer = new ActivationWriter(scratch["a"], 4, 2))
        {
            writer.Write(0, [1, 2]);
            writer.Write(2, [1, 2, 3, 4]);
            Assert.Contains("1 of 4 rows", Assert.Throws<InvalidOperationException>(writer.Complete).Message);
            Assert.Contains("row 3", Assert.Throws<InvalidOperationException>(() => writer.Write(3, [0, 0])).Message);
            Assert.Contains("row 1, component 1", Assert.Throws<InvalidDataException>(() => writer.Write(1, [0, float.NaN])).Message);
            Assert.Throws<ArgumentOutOfRangeException>(() => writer.Write(3, [1, 2, 3, 4]));
            Assert.Throws<ArgumentOutOfRangeException>(() => writer.Write(0, [1]));
        }
        Assert.Empty(Directory.GetFiles(scratch.Folder));
        File.WriteAllBytes(scratch["b"], new byte[20]);
        Assert.Contains("20 bytes", Assert.Throws<InvalidDataException>(() => ActivationFile.Open(scratch["b"], 2)).Message);
        using var file = ActivationFile.Open(scratch["b"], 5);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(1, new float[5]));
        File.WriteAllBytes(scratch["b"], new byte[12]);
        Assert.Throws<EndOfStreamException>(() => file.Read(0, new float[5]));
    }

    [Fact]
    public void A_named_partial_file_outlives_its_writer_and_is_gone_on_from()
    {
        using var scratch = new Scratch();
        using (var dead = new ActivationWriter(scratch["a"], 3, 2, scratch["a.partial"]))
        {
            dead.Write(1, [3, 4]);
            dead.Sync();
            // While it lives nobody else gets at it.
            Assert.Throws<IOException>(() => new ActivationWriter(scratch["a"], 3, 2, scratch["a.partial"]));
        }
        Assert.False(File.Exists(scratch["a"]));
        using (var next = new ActivationWriter(scratch["a"], 3, 2, scratch["a.partial"]))
        {
            var held = new float[2];
            next.Restore(1, held);
            Assert.Equal([3, 4], held);
            Assert.Contains("row 1", Assert.Throws<InvalidOperationException>(() => next.Write(1, [3, 4])).Message);
            next.Write(0, [1, 2]);
            Assert.Throws<InvalidOperationException>(next.Complete);
            next.Write(2, [5, 6]);
            next.Complete();
        }
        Assert.Equal([scratch["a"]], Directory.GetFiles(scratch.Folder));
        using var file = ActivationFile.Open(scratch["a"], 2);
        var all = new float[6];
        file.Read(0, all);
        Assert.Equal([1, 2, 3, 4, 5, 6], all);
    }
}
