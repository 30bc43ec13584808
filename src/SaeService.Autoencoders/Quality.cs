namespace SaeService.Autoencoders;

/// <summary>How faithful an autoencoder is on a set of rows.</summary>
/// <param name="Tokens">Rows looked at.</param>
/// <param name="Fvu">sum ‖x - x̂‖² / sum ‖x - mean‖², both over all rows; a reconstruction by the mean gives 1; NaN where the rows do not vary.</param>
/// <param name="L0">Mean number of active latents on a row.</param>
/// <param name="Fired">Rows on which each latent is active, [F].</param>
/// <param name="MeanMaxCosine">Mean over latents of the largest cosine of their decoder row to another one's (0 where all are negative).</param>
/// <param name="MaxCosine">Largest cosine between two decoder rows: near 1, two latents are one.</param>
public sealed record SaeQuality(long Tokens, double Fvu, double L0, IReadOnlyList<long> Fired, double MeanMaxCosine, double MaxCosine)
{
    /// <summary>Bins of <see cref="LogDensityHistogram"/>: eight a decade from 10^-6 to 1; rarer latents count in the first.</summary>
    public const int DensityBins = 48;
    private const int BinsPerDecade = 8, Decades = 6;

    public double ExplainedVariance => 1 - Fvu;
    public int Dead => Fired.Count(n => n == 0);
    public double DeadShare => (double)Dead / Fired.Count;

    /// <summary>Latents by log10 of the share of rows they are active on, dead ones left out.</summary>
    public int[] LogDensityHistogram
    {
        get
        {
            var bins = new int[DensityBins];
            foreach (var n in Fired)
                if (n > 0)
                    bins[Math.Clamp((int)((Math.Log10((double)n / Tokens) + Decades) * BinsPerDecade), 0, DensityBins - 1)]++;
            return bins;
        }
    }
}

/// <summary>Measures an autoencoder in one streaming pass; sums are float64, memory is one block of rows.</summary>
public static unsafe class Quality
{
    private const int BlockRows = 2048;

    /// <param name="sae">The autoencoder.</param>
    /// <param name="activations">The file it is measured on.</param>
    /// <param name="rows">Which of its rows.</param>
    /// <exception cref="ArgumentException">No rows, or a width that does not fit.</exception>
    public static SaeQuality Evaluate(TopKAutoencoder sae, ActivationFile activations, ReadOnlySpan<int> rows)
    {
        var d = sae.DIn;
        if (activations.Dim != d)
            throw new ArgumentException($"the autoencoder takes rows of {d}, {activations.Path} has rows of {activations.Dim}", nameof(activations));
        if (rows.Length == 0)
            throw new ArgumentException("there is no row to evaluate on", nameof(rows));
        var size = Math.Min(BlockRows, rows.Length);
        float[] x = new float[size * d], reconstruction = new float[size * d];   // [block, d]
        var shifted = new double[d];                                             // sum (x - b_dec)
        var fired = new long[sae.DSae];
        double error = 0, total = 0;
        long active = 0;
        for (var first = 0; first < rows.Length; first += size)
        {
            var n = Math.Min(size, rows.Length - first);
            activations.Gather(rows.Slice(first, n), x.AsSpan(0, n * d));
            var codes = sae.Encode(x.AsSpan(0, n * d), n);
            sae.Decode(codes, reconstruction.AsSpan(0, n * d));
            active += codes.NonZeros;
            foreach (var latent in codes.Index)
                fired[latent]++;
            for (var i = 0; i < n * d; i++)
            {
                // Around b_dec, which lies near the mean, so that the difference of large sums below stays exact.
                double e = (double)x[i] - reconstruction[i], z = (double)x[i] - sae.DecoderBias[i % d];
                error += e * e;
                total += z * z;
                shifted[i % d] += z;
            }
        }
        foreach (var sum in shifted)
            total -= sum * sum / rows.Length;
        var (meanCosine, maxCosine) = DecoderCosines(sae);
        return new(rows.Length, total > 0 ? error / total : double.NaN, (double)active / rows.Length, fired, meanCosine, maxCosine);
    }

    /// <summary>The two nearest decoder rows of each decoder row, of which one is itself: the encoder's kernel with k = 2.</summary>
    private static (double Mean, double Max) DecoderCosines(TopKAutoencoder sae)
    {
        const int K = 2;
        var (p, lanes, f) = (sae.Parameters, new Lanes(), sae.DSae);
        if (f < 2)
            return (0, 0);
        var unit = new AlignedBuffer<float>(p.WDec.Length);
        p.WDec.Span.CopyTo(unit.Span);
        for (var i = 0; i < f; i++)
        {
            var row = unit.Pointer + (long)i * p.Stride;
            var square = RowKernel.Dot(row, row, p.Stride);
            if (square > 0)
                RowKernel.Scale(row, 1 / MathF.Sqrt(square), p.Stride);
        }
        var block = Math.Min(f, BlockRows);
        var encoder = new TopKEncoder(p.Stride, f, K, block, lanes);
        var top = new TopKRows(block, K);
        var noBias = new AlignedBuffer<float>(f);
        encoder.Pack(unit.Pointer, noBias.Pointer, f);
        double sum = 0, max = 0;
        for (var first = 0; first < f; first += block)
        {
            var n = Math.Min(block, f - first);
            encoder.Encode(unit.Pointer + (long)first * p.Stride, n, top);
            for (var i = 0; i < n; i++)
            {
                var nearest = 0f;
                for (var j = i * K; j < i * K + top.Count.Pointer[i]; j++)
                    if (top.Index.Pointer[j] != first + i)
                        nearest = Math.Max(nearest, top.Value.Pointer[j]);
                sum += nearest;
                max = Math.Max(max, nearest);
            }
        }
        GC.KeepAlive(noBias);
        GC.KeepAlive(unit);
        return (sum / f, max);
    }
}
