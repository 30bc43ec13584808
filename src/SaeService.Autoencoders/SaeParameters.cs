namespace SaeService.Autoencoders;

/// <summary>
/// The four parameters of a TopK autoencoder, or anything of their shapes (gradients, moments). Rows are padded with zeros to
/// <see cref="Stride"/>; every kernel keeps the padding zero.
/// </summary>
internal sealed class SaeParameters(int dIn, int dSae)
{
    public int DIn { get; } = dIn;
    public int DSae { get; } = dSae;
    public int Stride { get; } = SaeTrainingSettings.Padded(dIn);
    public AlignedBuffer<float> WEnc { get; } = new((long)dSae * SaeTrainingSettings.Padded(dIn));   // [F, stride]
    public AlignedBuffer<float> WDec { get; } = new((long)dSae * SaeTrainingSettings.Padded(dIn));   // [F, stride], unit rows
    public AlignedBuffer<float> BEnc { get; } = new(dSae);                                    // [F]
    public AlignedBuffer<float> BDec { get; } = new(SaeTrainingSettings.Padded(dIn));                // [stride]

    public IEnumerable<(string Name, int Rows, int Columns, AlignedBuffer<float> Values)> Tensors
    {
        get
        {
            yield return ("W_enc", DSae, DIn, WEnc);
            yield return ("b_enc", 1, DSae, BEnc);
            yield return ("W_dec", DSae, DIn, WDec);
            yield return ("b_dec", 1, DIn, BDec);
        }
    }

    /// <summary>W_dec: random unit rows; W_enc = W_dec; both biases 0.</summary>
    public void Initialise(long seed, Lanes lanes)
    {
        const ulong Directions = 1;
        const int Block = 64;
        lanes.For((DSae + Block - 1) / Block, (block, _) =>
        {
            for (var f = block * Block; f < Math.Min(DSae, (block + 1) * Block); f++)
            {
                var key = CounterRandom.Key(seed, Directions, (ulong)f);
                var row = WDec.Slice((long)f * Stride, DIn);
                double square = 0;
                for (var j = 0; j < DIn; j++)
                {
                    var z = CounterRandom.Normal(key, (ulong)j);
                    row[j] = (float)z;
                    square += z * z;
                }
                var inverse = 1 / Math.Sqrt(square);
                for (var j = 0; j < DIn; j++)
                    row[j] = (float)(row[j] * inverse);
                row.CopyTo(WEnc.Slice((long)f * Stride, DIn));
            }
        });
    }
}
