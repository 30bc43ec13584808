namespace SaeService.Autoencoders.Formats;

/// <summary>Scales that a file asks to be applied at run time, taken into the parameters once.</summary>
internal static class Folding
{
    /// <summary>Inputs that were multiplied by s: W_enc s, W_dec / s, b_dec / s. Pre-activations stay, and so do thresholds.</summary>
    public static void InputScale(SaeParameters p, float s)
    {
        foreach (ref var value in p.WEnc.Span)
            value *= s;
        foreach (ref var value in p.WDec.Span)
            value /= s;
        foreach (ref var value in p.BDec.Span)
            value /= s;
    }

    /// <summary>
    /// Such files rank and give latents by value times ‖W_dec row‖: with rows of length 1 and the norm in the encoder that is the value itself. A row of
    /// zeros makes a latent that is never active.
    /// </summary>
    public static void DecoderNorms(SaeParameters p)
    {
        for (var f = 0; f < p.DSae; f++)
        {
            var dec = p.WDec.Slice((long)f * p.Stride, p.DIn);
            var square = 0.0;
            foreach (var value in dec)
                square += (double)value * value;
            var norm = (float)Math.Sqrt(square);
            foreach (ref var value in p.WEnc.Slice((long)f * p.Stride, p.DIn))
                value *= norm;
            p.BEnc.Span[f] *= norm;
            if (norm > 0)
                foreach (ref var value in dec)
                    value /= norm;
        }
    }

    /// <summary>A factor of each latent's value on its way into the decoder.</summary>
    /// <param name="factors">[F]</param>
    public static void DecoderFactors(SaeParameters p, ReadOnlySpan<float> factors)
    {
        for (var f = 0; f < p.DSae; f++)
            foreach (ref var value in p.WDec.Slice((long)f * p.Stride, p.DIn))
                value *= factors[f];
    }

    /// <summary>
    /// b_enc for an encoder that takes b_dec off its input, or for one that does not, whichever the autoencoder is not: b_enc -+ W_enc b_dec, the same
    /// function up to rounding.
    /// </summary>
    public static float[] OtherEncoderBias(SparseAutoencoder sae)
    {
        var bias = new float[sae.DSae];
        for (var f = 0; f < bias.Length; f++)
        {
            var dot = 0.0;
            var row = sae.EncoderRow(f);
            for (var j = 0; j < row.Length; j++)
                dot += (double)row[j] * sae.DecoderBias[j];
            bias[f] = (float)(sae.EncoderBias[f] + (sae.SubtractsDecoderBias ? -dot : dot));
        }
        return bias;
    }
}
