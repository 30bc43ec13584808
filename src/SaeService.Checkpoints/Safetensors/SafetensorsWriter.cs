using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>A tensor to write. <paramref name="WriteTo"/> writes exactly the bytes that shape and dtype need, little-endian and row-major.</summary>
public sealed record TensorSource(string Name, DType DType, IReadOnlyList<long> Shape, Action<Stream> WriteTo)
{
    public long Length => Shape.Aggregate((long)DType.Size(), (product, dimension) => checked(product * dimension));

    public static TensorSource Of<T>(string name, DType dtype, IReadOnlyList<long> shape, ReadOnlyMemory<T> values) where T : unmanaged =>
        new(name, dtype, shape, stream =>
        {
            // In pieces, because the byte length of a large array does not fit a span.
            for (var rest = values; !rest.IsEmpty;)
            {
                var piece = rest[..Math.Min(rest.Length, 1 << 20)];
                stream.Write(MemoryMarshal.AsBytes(piece.Span));
                rest = rest[piece.Length..];
            }
        });
}

/// <summary>
/// Writes safetensors. The bytes depend on the arguments only: tensors lie by element size (largest first, which keeps all aligned) and
/// then by name, as the reference writer lays them; metadata by key.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Streams to a temporary file beside <paramref name="path"/>, syncs it and renames it, so that no reader sees half a file.</summary>
    /// <exception cref="InvalidOperationException">A tensor wrote another number of bytes than its shape and dtype need.</exception>
    public static void Write(string path, IEnumerable<TensorSource> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderByDescending(t => t.DType.Size()).ThenBy(t => t.Name, StringComparer.Ordinal).ToArray();
        var header = Header(ordered, metadata);
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20))
            {
                stream.Write(BitConverter.GetBytes((ulong)header.Length));
                stream.Write(header);
                foreach (var tensor in ordered)
                {
                    var before = stream.Position;
                    tensor.WriteTo(stream);
                    if (stream.Position - before != tensor.Length)
                        throw new InvalidOperationException($"tensor {tensor.Name} wrote {stream.Position - before} bytes, its shape needs {tensor.Length}");
                }
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static byte[] Header(TensorSource[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            long offset = 0;
            var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
            foreach (var tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                    throw new ArgumentException($"two tensors are named {tensor.Name}");
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.DType.ToString());
                json.WriteStartArray("shape");
                foreach (var dimension in tensor.Shape)
                    json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.Length);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Spaces to a multiple of 8, so that the data start aligned.
        var text = buffer.WrittenSpan;
        var padded = new byte[(text.Length + 7) / 8 * 8];
        padded.AsSpan().Fill((byte)' ');
        text.CopyTo(padded);
        return padded;
    }
}
