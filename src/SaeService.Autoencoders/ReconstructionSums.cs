namespace SaeService.Autoencoders;

/// <summary>
/// The float64 sums behind <see cref="SaeQuality"/>, over blocks of rows as they come. Variances are taken around a shift that lies near the mean (b_dec), so
/// that the difference of large sums is exact, and each row and each block is summed for itself first, so that its error stays that of a few additions. A
/// reconstruction that is the shift and the mean has the same sum below as above: its FVU is 1 to the last bit.
/// </summary>
internal sealed class ReconstructionSums(ReadOnlySpan<float> shift)
{
    private readonly double[] centre = Array.ConvertAll(shift.ToArray(), v => (double)v);   // [d]
    private readonly double[] shifted = new double[shift.Length];                           // sum (x - shift)
    private readonly double[] blockMean = new double[shift.Length];                         // mean (x - shift) of the block
    private double error, around;                                                           // sum ‖x - x̂‖², sum ‖x - shift‖²
    private double cosine, ratio, legacy, dot, square;
    private long rows, withNorm, withVariance;

    public double Fvu
    {
        get
        {
            var total = around;
            foreach (var sum in shifted)
                total -= sum * sum / rows;
            return total > 0 ? error / total : double.NaN;
        }
    }

    public double ExplainedVarianceLegacy => legacy / withVariance;
    public double Cosine => cosine / rows;
    public double NormRatio => ratio / withNorm;
    public double RelativeReconstructionBias => square / dot;

    /// <param name="x">[rows, d], a block.</param>
    /// <param name="reconstruction">[rows, d], x̂</param>
    public void Add(ReadOnlySpan<float> x, ReadOnlySpan<float> reconstruction)
    {
        var d = centre.Length;
        var n = x.Length / d;
        Array.Clear(blockMean);
        for (var i = 0; i < x.Length; i += d)
            for (var j = 0; j < d; j++)
                blockMean[j] += x[i + j] - centre[j];
        for (var j = 0; j < d; j++)
        {
            shifted[j] += blockMean[j];
            blockMean[j] /= n;
        }
        var (blockError, blockAround, blockDot, blockSquare) = (0.0, 0.0, 0.0, 0.0);
        for (var i = 0; i < x.Length; i += d)
        {
            var (ee, zz, bb, xx, yy, xy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
            for (var j = 0; j < d; j++)
            {
                double a = x[i + j], y = reconstruction[i + j], e = a - y, z = a - centre[j], b = z - blockMean[j];
                ee += e * e;
                zz += z * z;
                bb += b * b;
                xx += a * a;
                yy += y * y;
                xy += a * y;
            }
            blockError += ee;
            blockAround += zz;
            blockDot += xy;
            blockSquare += yy;
            if (bb > 0)
            {
                legacy += 1 - ee / bb;
                withVariance++;
            }
            if (xx > 0)
            {
                ratio += Math.Sqrt(yy / xx);
                withNorm++;
            }
            if (xx > 0 && yy > 0)
                cosine += xy / (Math.Sqrt(xx) * Math.Sqrt(yy));
        }
        error += blockError;
        around += blockAround;
        dot += blockDot;
        square += blockSquare;
        rows += n;
    }
}
