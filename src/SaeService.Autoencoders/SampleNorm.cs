namespace SaeService.Autoencoders;

/// <summary>What some autoencoders do to every input before they encode it, and undo after they decode it.</summary>
public enum SampleNorm
{
    None,

    /// <summary>z = x sqrt(d) / ‖x‖ (SAELens: <c>constant_norm_rescale</c>).</summary>
    ConstantNorm,

    /// <summary>z = (x - mean) / (std + 1e-5), std over d - 1 (SAELens: <c>layer_norm</c>; OpenAI's released autoencoders).</summary>
    LayerNorm,
}

/// <summary>How the rows of a batch come back from normalised units: x̂ = <c>Scale[i]</c> x̂_z + <c>Shift[i]</c>.</summary>
/// <param name="Scale">[rows]</param>
/// <param name="Shift">[rows]</param>
public sealed record RowScales(float[] Scale, float[] Shift);

internal static class SampleNorms
{
    private const double Epsilon = 1e-5;

    /// <summary>Normalises the row in place; sums are float64.</summary>
    /// <param name="x">[d], at least 2 values for <see cref="SampleNorm.LayerNorm"/>.</param>
    /// <returns>What takes it back. A row without spread, or of zeros, comes back as its mean, or as zeros.</returns>
    public static (float Scale, float Shift) Apply(SampleNorm norm, Span<float> x)
    {
        if (norm == SampleNorm.None)
            return (1, 0);
        double mean = 0, square = 0;
        if (norm == SampleNorm.LayerNorm)
        {
            foreach (var value in x)
                mean += value;
            mean /= x.Length;
        }
        foreach (var value in x)
            square += (value - mean) * (value - mean);
        var scale = norm == SampleNorm.LayerNorm ? Math.Sqrt(square / (x.Length - 1)) : Math.Sqrt(square / x.Length);
        var divisor = norm == SampleNorm.LayerNorm ? scale + Epsilon : scale > 0 ? scale : 1;
        for (var j = 0; j < x.Length; j++)
            x[j] = (float)((x[j] - mean) / divisor);
        return ((float)scale, (float)mean);
    }
}
