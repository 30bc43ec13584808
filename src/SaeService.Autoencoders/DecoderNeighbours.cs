using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders;

/// <summary>
/// Decoder directions on disk that are most like one of them, by cosine. The file is one that <see cref="SaeFolder.SaveSaeLens"/> wrote: <c>W_dec</c> float32
/// [F, d]. It is read in pieces, and nothing of its size is held, so this can run where autoencoders of any size are served.
/// </summary>
public sealed class DecoderNeighbours : IDisposable
{
    private const int BytesAtOnce = 1 << 20;

    private readonly Microsoft.Win32.SafeHandles.SafeFileHandle _file;
    private readonly long _offset;

    private DecoderNeighbours(Microsoft.Win32.SafeHandles.SafeFileHandle file, TensorEntry decoder)
    {
        (_file, _offset) = (file, decoder.Offset);
        (DSae, DIn) = ((int)decoder.Shape[0], (int)decoder.Shape[1]);
    }

    /// <summary>F.</summary>
    public int DSae { get; }

    /// <summary>d.</summary>
    public int DIn { get; }

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="CheckpointException">Invalid: it is no safetensors file, or has no such decoder.</exception>
    public static DecoderNeighbours Open(string weightsFile)
    {
        TensorEntry? decoder;
        using (var weights = SafetensorsFile.Open(weightsFile))
            decoder = weights.Tensors.GetValueOrDefault("W_dec");
        if (decoder is not { DType: DType.F32, Shape: [> 0 and <= int.MaxValue, > 0 and <= int.MaxValue] })
            throw new CheckpointException(CheckpointFault.Invalid, weightsFile, "W_dec",
                decoder is null ? "the tensor is missing" : $"is {decoder.DType} {decoder.ShapeText}, expected F32 of two dimensions");
        return new(File.OpenHandle(weightsFile, share: FileShare.Read | FileShare.Delete, options: FileOptions.SequentialScan), decoder);
    }

    /// <summary>A latent's direction, [d], as it is.</summary>
    public float[] Direction(int latent)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(latent);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(latent, DSae);
        var row = new float[DIn];
        Read(row, latent);
        return row;
    }

    /// <summary>The latents of the highest cosines, highest first, of equal ones the lower index first. A row of zeros has no direction and is none of them.</summary>
    /// <param name="direction">[d], of this or another autoencoder of the same width.</param>
    /// <param name="except">A latent of this one that is not to be found, which is the one asked about; null: of another.</param>
    /// <exception cref="ArgumentException">The direction has another length.</exception>
    public List<(int Latent, double Cosine)> Nearest(ReadOnlySpan<float> direction, int most, int? except, CancellationToken cancellation)
    {
        if (direction.Length != DIn)
            throw new ArgumentException($"the direction has {direction.Length} components, the decoder's have {DIn}", nameof(direction));
        var best = new List<(int Latent, double Cosine)>(most + 1);
        var norm = Math.Sqrt(TensorPrimitives.SumOfSquares(direction));
        if (norm == 0)
            return best;
        var rows = new float[Math.Clamp(BytesAtOnce / sizeof(float) / DIn, 1, DSae) * DIn];
        for (var from = 0; from < DSae; from += rows.Length / DIn)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = Math.Min(rows.Length / DIn, DSae - from);
            Read(rows.AsSpan(0, count * DIn), from);
            for (var r = 0; r < count; r++)
            {
                var row = rows.AsSpan(r * DIn, DIn);
                var cosine = TensorPrimitives.Dot(row, direction) / (norm * Math.Sqrt(TensorPrimitives.SumOfSquares<float>(row)));
                // Of 0 / 0 nothing is true.
                if (from + r == except || !(cosine >= -2) || (best.Count == most && cosine <= best[^1].Cosine))
                    continue;
                var at = best.Count;
                while (at > 0 && best[at - 1].Cosine < cosine)
                    at--;
                best.Insert(at, (from + r, Math.Clamp(cosine, -1, 1)));
                if (best.Count > most)
                    best.RemoveAt(most);
            }
        }
        return best;
    }

    private void Read(Span<float> rows, int first)
    {
        var bytes = MemoryMarshal.AsBytes(rows);
        var at = _offset + (long)first * DIn * sizeof(float);
        while (!bytes.IsEmpty)
        {
            var read = RandomAccess.Read(_file, bytes, at);
            if (read == 0)
                throw new EndOfStreamException("the weights end before their header says");
            bytes = bytes[read..];
            at += read;
        }
    }

    public void Dispose() => _file.Dispose();
}
