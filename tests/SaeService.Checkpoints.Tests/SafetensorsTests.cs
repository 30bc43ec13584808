using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Checkpoints.Tests;

public sealed class SafetensorsTests
{
    [Fact]
    public void Every_malformed_file_is_refused_with_its_name()
    {
        var folder = SharedData.Require("fixtures/transformers/malformed");
        var cases = Manifest(folder);
        Assert.True(cases.Length > 45);
        var accepted = new List<string>();
        foreach (var item in cases)
        {
            var name = item.GetProperty("file").GetString()!;
            try
            {
                SafetensorsFile.Open(Path.Combine(folder, name)).Dispose();
                accepted.Add(name);
            }
            catch (CheckpointException e)
            {
                Assert.Equal(CheckpointFault.Invalid, e.Fault);
                Assert.StartsWith(name, e.Message, StringComparison.Ordinal);
            }
        }
        Assert.Empty(accepted);
    }

    [Theory]
    [InlineData("lfs_pointer", null, "git-lfs")]
    [InlineData("duplicate_key_same_range", "a", "twice")]
    [InlineData("shape_overflow_bytes", null, "overflows")]
    [InlineData("unknown_dtype", null, "F128")]
    [InlineData("truncated_data", null, "truncated")]
    [InlineData("header_len_99MB", null, "truncated")]
    public void The_message_says_what_is_wrong(string name, string? key, string words)
    {
        var e = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(SharedData.Require($"fixtures/transformers/malformed/{name}.safetensors")));
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        if (key is not null)
            Assert.Equal(key, e.Key);
    }

    [Fact]
    public void Every_unusual_but_valid_file_is_read_as_its_manifest_says()
    {
        var folder = SharedData.Require("fixtures/transformers/valid_edge");
        foreach (var item in Manifest(folder))
        {
            using var file = SafetensorsFile.Open(Path.Combine(folder, item.GetProperty("file").GetString()!));
            var expected = item.GetProperty("tensors").EnumerateObject().ToArray();
            Assert.Equal(expected.Select(t => t.Name).Order(StringComparer.Ordinal), file.Tensors.Keys.Order(StringComparer.Ordinal));
            foreach (var tensor in expected)
            {
                var entry = file.Tensors[tensor.Name];
                Assert.Equal(tensor.Value.GetProperty("dtype").GetString(), entry.DType.ToString());
                Assert.Equal(tensor.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64()), entry.Shape);
                Assert.Equal(tensor.Value.GetProperty("values").EnumerateArray().Select(Value), Values(entry.DType, file.Bytes(tensor.Name)));
            }
        }
    }

    /// <summary>Flipping any byte of a real header either is refused or leaves a file whose tensors still cover its data.</summary>
    [Fact]
    public void Fuzzed_headers_are_refused_or_consistent()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("fuzzed.safetensors");
        SafetensorsWriter.Write(path, [Floats("a", 2, 3), Floats("b", 4), Floats("ü\n", 1)], new Dictionary<string, string> { ["format"] = "pt" });
        var good = File.ReadAllBytes(path);
        var header = (int)BinaryPrimitives.ReadUInt64LittleEndian(good);
        var random = new Random(7);
        var refused = 0;
        for (var round = 0; round < 4000; round++)
        {
            var bytes = (byte[])good.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                bytes[random.Next(8 + header)] = (byte)random.Next(256);
            if (random.Next(4) == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(path, bytes);
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(path);
                // Nothing is allocated from a length that the file claims.
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 1_000_000);
                Assert.Equal(bytes.Length - 8 - (long)BinaryPrimitives.ReadUInt64LittleEndian(bytes), file.Tensors.Values.Sum(t => t.Length));
                foreach (var name in file.Tensors.Keys)
                    _ = file.Bytes(name).ToArray();
            }
            catch (CheckpointException)
            {
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 1_000_000);
                refused++;
            }
        }
        Assert.InRange(refused, 1000, 4000);
    }

    [Fact]
    public void What_is_written_is_read_back_and_depends_on_the_arguments_only()
    {
        using var folder = new TemporaryFolder();
        TensorSource[] tensors = [TensorSource.Of<sbyte>("small", DType.I8, [3], new sbyte[] { 1, -2, 3 }), Floats("b", 2, 2), Floats("a", 0, 5), Floats("scalar")];
        SafetensorsWriter.Write(folder.File("1"), tensors, new Dictionary<string, string> { ["x"] = "ü\"", ["a"] = "b" });
        SafetensorsWriter.Write(folder.File("2"), tensors.Reverse(), new Dictionary<string, string> { ["a"] = "b", ["x"] = "ü\"" });
        Assert.Equal(File.ReadAllBytes(folder.File("1")), File.ReadAllBytes(folder.File("2")));
        Assert.Equal(2, Directory.GetFiles(folder.Path).Length);

        using var file = SafetensorsFile.Open(folder.File("1"));
        Assert.Equal("ü\"", file.Metadata["x"]);
        Assert.Equal([0f, 1f, 2f, 3f], MemoryMarshal.Cast<byte, float>(file.Bytes("b")).ToArray());
        Assert.Equal([0, 5], file.Tensors["a"].Shape);
        Assert.Empty(file.Tensors["scalar"].Shape);
        Assert.Equal(0, file.Tensors["b"].Offset % 8);
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_nothing_else()
    {
        using var folder = new TemporaryFolder();
        SafetensorsWriter.Write(folder.File("f"), [Floats("a", 2)]);
        var before = File.ReadAllBytes(folder.File("f"));
        Assert.Throws<InvalidOperationException>(() => SafetensorsWriter.Write(folder.File("f"), [new("a", DType.F32, [3], stream => stream.WriteByte(1))]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(folder.File("f"), [Floats("a", 2), Floats("a", 2)]));
        Assert.Equal(before, File.ReadAllBytes(folder.File("f")));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    private static TensorSource Floats(string name, params long[] shape)
    {
        var count = shape.Aggregate(1L, (product, dimension) => product * dimension);
        return TensorSource.Of<float>(name, DType.F32, shape, Enumerable.Range(0, (int)count).Select(i => (float)i).ToArray());
    }

    private static JsonElement[] Manifest(string folder)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")));
        return [.. json.RootElement.Clone().EnumerateArray()];
    }

    private static string Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Number(double.Parse(value.GetString()!.Replace("inf", "Infinity", StringComparison.Ordinal), System.Globalization.CultureInfo.InvariantCulture)),
        JsonValueKind.True => Number(1),
        JsonValueKind.False => Number(0),
        _ => Number(value.GetDouble()),
    };

    // Bits, so that -0 and NaN count.
    private static string Number(double value) => double.IsNaN(value) ? "nan" : BitConverter.DoubleToInt64Bits(value).ToString("X16");

    private static IEnumerable<string> Values(DType dtype, ReadOnlySpan<byte> bytes)
    {
        var values = new List<string>();
        for (var i = 0; i < bytes.Length; i += dtype.Size())
        {
            var at = bytes[i..];
            values.Add(Number(dtype switch
            {
                DType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(at),
                DType.F32 => BinaryPrimitives.ReadSingleLittleEndian(at),
                DType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
                DType.BF16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadInt16LittleEndian(at) << 16),
                DType.I64 => BinaryPrimitives.ReadInt64LittleEndian(at),
                DType.I32 => BinaryPrimitives.ReadInt32LittleEndian(at),
                DType.I16 => BinaryPrimitives.ReadInt16LittleEndian(at),
                DType.I8 => (sbyte)at[0],
                _ => at[0],
            }));
        }
        return values;
    }
}
