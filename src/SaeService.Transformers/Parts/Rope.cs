using SaeService.Checkpoints;
using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

/// <summary>
/// Rotary position embedding (Su et al. 2021) in the half-split form of Hugging Face's rotate_half: coordinates i and i + dh/2 turn together. The
/// angles are computed in double precision.
/// </summary>
internal sealed class Rope : IDisposable
{
    private readonly double[] _frequencies;
    private readonly Device _device;
    private Tensor? _cos, _sin;

    private Rope(double[] frequencies, Device device) => (_frequencies, _device) = (frequencies, device);

    /// <summary>The frequencies that a config asks for: rope_theta and rope_scaling, or rope_parameters as transformers 5 writes them.</summary>
    /// <param name="config">Of the model.</param>
    /// <param name="headDim">dh, even.</param>
    /// <param name="contextLength">The trained context, where the scaling does not name one.</param>
    /// <returns>[dh / 2] radians a position.</returns>
    public static double[] Frequencies(ModelConfig config, int headDim, int contextLength)
    {
        if (headDim % 2 != 0)
            throw config.Invalid("head_dim", $"{headDim} is odd, rotary embedding needs pairs");
        if (config.Number("partial_rotary_factor", 1) != 1)
            throw config.Unsupported("partial_rotary_factor", "only 1 is supported for this model family");
        var flatTheta = config.Number("rope_theta", 10000);
        string where = "rope_parameters", flat = "rope_scaling";
        var scaling = config.Nested(where);
        var old = config.Nested(flat);
        if (scaling is not null && old is not null)
            throw config.Invalid(flat, $"is given beside {where}");
        scaling ??= old;
        var theta = scaling?.Number("rope_theta", flatTheta) ?? flatTheta;
        if (theta <= 0)
            throw config.Invalid("rope_theta", "must be positive");
        var plain = Enumerable.Range(0, headDim / 2).Select(i => Math.Pow(theta, -2.0 * i / headDim)).ToArray();
        if (scaling is null)
            return plain;
        var kind = (scaling.Text("rope_type"), scaling.Text("type")) switch
        {
            (null, null) => "default",
            (null, var only) => only,
            (var only, null) => only,
            var (a, b) => a == b ? a : throw scaling.Invalid("type", $"'{b}' contradicts rope_type '{a}'"),
        };
        if (scaling.Number("partial_rotary_factor", 1) != 1)
            throw scaling.Unsupported("partial_rotary_factor", "only 1 is supported for this model family");
        var frequencies = kind switch
        {
            "default" => plain,
            "linear" => Scaled(plain, Positive(scaling, "factor")),
            "llama3" => Llama3(plain, scaling, contextLength),
            _ => throw scaling.Unsupported("rope_type", $"rotary scaling '{kind}' is not supported"),
        };
        foreach (var unread in scaling.Unread)
            throw scaling.Unsupported(unread.Name, $"is not known to rotary scaling '{kind}'");
        return frequencies;
    }

    public static Rope Of(double[] frequencies, Device device) => new(frequencies, device);

    private static double[] Scaled(double[] frequencies, double factor) => Array.ConvertAll(frequencies, f => f / factor);

    /// <summary>Llama 3.1: long waves slowed by the factor, short ones kept, those between blended.</summary>
    private static double[] Llama3(double[] frequencies, StrictJson scaling, int contextLength)
    {
        double factor = Positive(scaling, "factor"), low = Positive(scaling, "low_freq_factor"), high = Positive(scaling, "high_freq_factor");
        var trained = scaling.Size(contextLength, "original_max_position_embeddings");
        if (high <= low)
            throw scaling.Invalid("high_freq_factor", "must be greater than low_freq_factor");
        return Array.ConvertAll(frequencies, frequency =>
        {
            // Turns within the trained context.
            var turns = trained * frequency / (2 * Math.PI);
            var keep = Math.Clamp((turns - low) / (high - low), 0, 1);
            return (1 - keep) * frequency / factor + keep * frequency;
        });
    }

    private static double Positive(StrictJson json, string key) =>
        json.Number(key, double.NaN) is > 0 and var value ? value : throw json.Invalid(key, "must be given and positive");

    /// <summary>Turns every head's vectors by their position 0 .. T-1.</summary>
    /// <param name="x">[B, H, T, dh]</param>
    public Tensor Apply(Tensor x)
    {
        var length = x.shape[2];
        EnsureTables(length);
        using var cos = _cos![..(int)length]; // [T, dh/2]
        using var sin = _sin![..(int)length];
        var halves = x.chunk(2, -1);
        return cat([halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin], -1);
    }

    private void EnsureTables(long length)
    {
        if (_cos is not null && _cos.shape[0] >= length)
            return;
        Dispose();
        var half = _frequencies.Length;
        var angles = new double[length * half];
        for (var i = 0; i < angles.Length; i++)
            angles[i] = i / half * _frequencies[i % half];
        _cos = Table(Math.Cos);
        _sin = Table(Math.Sin);

        Tensor Table(Func<double, double> f) =>
            tensor(Array.ConvertAll(angles, a => (float)f(a)), [length, half], device: _device).DetachFromDisposeScope();
    }

    public void Dispose()
    {
        _cos?.Dispose();
        _sin?.Dispose();
        (_cos, _sin) = (null, null);
    }
}
