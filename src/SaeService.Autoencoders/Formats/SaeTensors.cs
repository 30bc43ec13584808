using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>An autoencoder's parameters as tensors to write, float32, without the padding of their rows.</summary>
internal static class SaeTensors
{
    private static readonly JsonWriterOptions s_json = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>[F, d]</summary>
    public static TensorSource Rows(string name, SaeParameters p, AlignedBuffer<float> values) => new(name, DType.F32, [p.DSae, p.DIn], stream =>
    {
        for (var f = 0; f < p.DSae; f++)
            stream.Write(MemoryMarshal.AsBytes(values.Slice((long)f * p.Stride, p.DIn)));
    });

    /// <summary>[d, F]</summary>
    public static TensorSource Columns(string name, SaeParameters p, AlignedBuffer<float> values) => new(name, DType.F32, [p.DIn, p.DSae], stream =>
    {
        var column = new float[p.DSae];
        for (var j = 0; j < p.DIn; j++)
        {
            for (var f = 0; f < p.DSae; f++)
                column[f] = values.Span[f * p.Stride + j];
            stream.Write(MemoryMarshal.AsBytes<float>(column));
        }
    });

    public static TensorSource Vector(string name, AlignedBuffer<float> values, int length) =>
        new(name, DType.F32, [length], stream => stream.Write(MemoryMarshal.AsBytes(values.Slice(0, length))));

    public static TensorSource Vector(string name, float[] values) => TensorSource.Of<float>(name, DType.F32, [values.Length], values);

    /// <summary>Writes a JSON object to a temporary file beside <paramref name="path"/>, syncs and renames it, so that no reader sees half of one.</summary>
    public static void WriteJson(string path, Action<Utf8JsonWriter> members)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        using (var stream = new FileStream(temporary, FileMode.CreateNew))
        {
            using (var json = new Utf8JsonWriter(stream, s_json))
            {
                json.WriteStartObject();
                members(json);
                json.WriteEndObject();
            }
            stream.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }
}
