using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Tests;

/// <summary>
/// An autoencoder as a format stores it, with everything that the format leaves to run time, and its forward pass by that project's words: plain loops
/// in float64 that apply each flag where it is applied there. Nothing is folded.
/// </summary>
internal sealed class StoredSae
{
    private readonly Random random;

    public StoredSae(int d, int latents, int seed)
    {
        (D, F, random) = (d, latents, new Random(seed));
        (Encoder, Decoder) = (Values(latents * d, 1 / Math.Sqrt(d)), Values(latents * d, 1));
        (EncoderBias, DecoderBias, Threshold, Factors) = (Values(latents, 0.3), Values(d, 1), [.. Values(latents, 1).Select(Math.Abs)], [.. Values(latents, 1).Select(v => 1 + v / 4)]);
    }

    public int D { get; }
    public int F { get; }
    public float[] Encoder { get; private set; }        // [F, d]
    public float[] Decoder { get; private set; }        // [F, d], rows of length about sqrt(d)
    public float[] EncoderBias { get; private set; }    // [F]
    public float[] DecoderBias { get; private set; }    // [d]
    public float[] Threshold { get; set; }              // [F]
    public float[] Factors { get; }                     // [F], of fine-tuning

    public SaeArchitecture Architecture { get; set; }
    public int K { get; set; } = 3;
    public bool Centred { get; set; } = true;
    public bool RescaledByNorm { get; set; }
    public bool FineTuned { get; set; }
    public string Norm { get; set; } = "none";
    public double Scale { get; set; } = 1;

    public float[] Values(int count, double deviation) => [.. Enumerable.Range(0, count).Select(_ => (float)(deviation * Scratch.Normal(random)))];

    /// <summary>Rows with a mean and of lengths that differ.</summary>
    public float[] Inputs(int rows)
    {
        var x = Values(rows * D, 1);
        for (var i = 0; i < x.Length; i++)
            x[i] = x[i] * (0.5f + (i / D % 7)) + 2;
        return x;
    }

    public static float[] Transposed(float[] matrix, int rows, int columns) => [.. Enumerable.Range(0, matrix.Length).Select(i => matrix[i % rows * columns + i / rows])];

    public TensorSource Of(string name, DType dtype, float[] values, params long[] shape) => dtype switch
    {
        DType.F16 => TensorSource.Of<Half>(name, dtype, shape, Array.ConvertAll(values, v => (Half)v)),
        DType.BF16 => TensorSource.Of<ushort>(name, dtype, shape, Array.ConvertAll(values, v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))),
        DType.F64 => TensorSource.Of<double>(name, dtype, shape, Array.ConvertAll(values, v => (double)v)),
        _ => TensorSource.Of<float>(name, dtype, shape, values),
    };

    /// <summary>Keeps of every value what the type can hold.</summary>
    public void RoundTo(DType dtype)
    {
        (Encoder, Decoder, EncoderBias, DecoderBias, Threshold) = (Round(Encoder), Round(Decoder), Round(EncoderBias), Round(DecoderBias), Round(Threshold));
        float[] Round(float[] values) => Array.ConvertAll(values, v => dtype switch
        {
            DType.F16 => (float)(Half)v,
            DType.BF16 => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000),
            _ => v,
        });
    }

    public (double[] Codes, double[] Reconstruction) Forward(float[] x, int rows)
    {
        var (codes, reconstruction) = (new double[rows * F], new double[rows * D]);
        for (var i = 0; i < rows; i++)
        {
            var z = x.Skip(i * D).Take(D).Select(v => (double)v).ToArray();
            Func<double, double> back = v => v;
            if (Norm == "constant_norm_rescale")
            {
                var coefficient = Math.Sqrt(D) / Math.Sqrt(z.Sum(v => v * v));
                z = [.. z.Select(v => v * coefficient)];
                back = v => v / coefficient;
            }
            else if (Norm == "layer_norm")
            {
                var mean = z.Average();
                var deviation = Math.Sqrt(z.Sum(v => (v - mean) * (v - mean)) / (D - 1));
                z = [.. z.Select(v => (v - mean) / (deviation + 1e-5))];
                back = v => v * deviation + mean;
            }
            else if (Norm == "expected_average_only_in")
            {
                z = [.. z.Select(v => v * Scale)];
                back = v => v / Scale;
            }
            var activations = new double[F];
            for (var f = 0; f < F; f++)
            {
                double sum = EncoderBias[f];
                for (var j = 0; j < D; j++)
                    sum += (z[j] - (Centred ? DecoderBias[j] : 0)) * Encoder[f * D + j];
                activations[f] = sum * (RescaledByNorm ? NormOf(f) : 1);
            }
            if (Architecture == SaeArchitecture.TopK)
            {
                var kept = Enumerable.Range(0, F).OrderByDescending(f => activations[f]).Take(K).ToHashSet();
                for (var f = 0; f < F; f++)
                    activations[f] = kept.Contains(f) ? Math.Max(0, activations[f]) : 0;
            }
            else
                for (var f = 0; f < F; f++)
                    activations[f] = Math.Max(0, activations[f]) * (Architecture == SaeArchitecture.Standard || activations[f] > Threshold[f] ? 1 : 0);
            for (var f = 0; f < F; f++)
                codes[i * F + f] = activations[f];
            for (var j = 0; j < D; j++)
            {
                double sum = DecoderBias[j];
                for (var f = 0; f < F; f++)
                    sum += activations[f] / (RescaledByNorm ? NormOf(f) : 1) * (FineTuned ? Factors[f] : 1) * Decoder[f * D + j];
                reconstruction[i * D + j] = back(sum);
            }
        }
        return (codes, reconstruction);
    }

    private double NormOf(int f) => Math.Sqrt(Enumerable.Range(0, D).Sum(j => (double)Decoder[f * D + j] * Decoder[f * D + j]));
}
