using SaeService.Checkpoints;

namespace SaeService.Transformers.Parts;

/// <summary>Radians a position of each rotary pair, under the kinds of scaling of transformers' modeling_rope_utils.</summary>
/// <param name="At">The frequencies [r / 2] for a text of that many tokens.</param>
/// <param name="Factor">What cosines and sines are multiplied by.</param>
internal sealed record RopeFrequencies(Func<long, double[]> At, double Factor)
{
    // Frequencies are computed before any file can contradict the config.
    private const int MaxHeadDim = 1 << 16;

    /// <summary>The frequencies that a config asks for: rope_theta and rope_scaling, or rope_parameters as transformers 5 writes them.</summary>
    /// <param name="config">Of the model.</param>
    /// <param name="headDim">dh.</param>
    /// <param name="partial">The share of dh that turns where the config does not say; null for families in which all of it must.</param>
    public static RopeFrequencies Read(ModelConfig config, int headDim, double? partial = null)
    {
        var scaling = config.Nested("rope_parameters");
        if (config.Nested("rope_scaling") is { } old)
            scaling = scaling is null ? old : throw config.Invalid("rope_scaling", "is given beside rope_parameters");
        scaling ??= new StrictJson(System.Text.Json.JsonDocument.Parse("{}").RootElement, config.File);
        var theta = Agreeing(config, scaling, 10000, "rope_theta", "rotary_emb_base");
        var share = Agreeing(config, scaling, partial ?? 1, "partial_rotary_factor", "rotary_pct");
        if (theta <= 0)
            throw config.Invalid("rope_theta", "must be positive");
        if (share is < 0 or > 1)
            throw config.Invalid("partial_rotary_factor", "must lie between 0 and 1");
        var kind = (scaling.Text("rope_type"), scaling.Text("type")) switch
        {
            (null, null) => "default",
            (null, var only) => only,
            (var only, null) => only,
            var (a, b) => a == b ? a : throw scaling.Invalid("type", $"'{b}' contradicts rope_type '{a}'"),
        };
        if (partial is null && share != 1 && kind != "proportional")
            throw config.Unsupported("partial_rotary_factor", "only 1 is supported for this model family");
        var turning = kind == "proportional" ? headDim : (int)(headDim * share);
        if (headDim > MaxHeadDim)
            throw config.Invalid("head_dim", $"{headDim} is more than {MaxHeadDim}");
        if (turning % 2 != 0)
            throw config.Invalid("head_dim", $"{turning} rotary dimensions are no pairs");
        var context = ModelDescription.Positions(config);
        var plain = Plain(theta, turning);
        var frequencies = kind switch
        {
            "default" => Always(plain),
            "linear" => Always(Divided(plain, Positive(scaling, "factor"))),
            "dynamic" => Dynamic(theta, turning, Positive(scaling, "factor"), context),
            "yarn" => Yarn(theta, plain, scaling, context),
            "longrope" => LongRope(plain, scaling, scaling.Size(config.Size(context, "original_max_position_embeddings"), "original_max_position_embeddings"), context),
            "llama3" => Always(Llama3(plain, scaling, context)),
            "proportional" => Always(Divided([.. plain.Select((f, i) => i < (int)(share * headDim / 2) ? f : 0)], scaling.Number("factor", 1))),
            _ => throw scaling.Unsupported("rope_type", $"rotary scaling '{kind}' is not supported"),
        };
        // Known to transformers' validation, and without effect in these kinds.
        if (kind is "linear" or "dynamic")
            scaling.Value("original_max_position_embeddings");
        foreach (var unread in scaling.Unread)
            throw scaling.Unsupported(unread.Name, $"is not known to rotary scaling '{kind}'");
        return frequencies;
    }

    private static RopeFrequencies Always(double[] frequencies) => new(_ => frequencies, 1);

    private static double[] Plain(double theta, int dimensions) => [.. Enumerable.Range(0, dimensions / 2).Select(i => Math.Pow(theta, -2.0 * i / dimensions))];

    private static double[] Divided(double[] frequencies, double factor) => Array.ConvertAll(frequencies, f => f / factor);

    /// <summary>NTK-aware scaling: beyond the trained context the base grows with the text.</summary>
    private static RopeFrequencies Dynamic(double theta, int dimensions, double factor, int context)
    {
        var plain = Plain(theta, dimensions);
        return new(length => length <= context || dimensions <= 2
            ? plain
            : Plain(theta * Math.Pow(factor * length / context - (factor - 1), dimensions / (dimensions - 2.0)), dimensions), 1);
    }

    /// <summary>YaRN (Peng et al. 2023): pairs that turn often are kept, those that turn less than once are slowed, a ramp between.</summary>
    private static RopeFrequencies Yarn(double theta, double[] plain, StrictJson scaling, int context)
    {
        if (theta <= 1)
            throw scaling.Invalid("rope_theta", "must be greater than 1 for yarn");
        var dimensions = 2 * plain.Length;
        var trained = scaling.Size(context, "original_max_position_embeddings");
        var factor = scaling.Value("factor") is null && trained != context ? (double)context / trained : Positive(scaling, "factor");
        double Magnitude(double scale) => factor <= 1 ? 1 : 0.1 * scale * Math.Log(factor) + 1;
        double mscale = scaling.Number("mscale", 0), mscaleAll = scaling.Number("mscale_all_dim", 0);
        var attention = scaling.OptionalNumber("attention_factor", null) ?? (mscale != 0 && mscaleAll != 0 ? Magnitude(mscale) / Magnitude(mscaleAll) : Magnitude(1));
        double fast = OrDefault(scaling.Number("beta_fast", 0), 32), slow = OrDefault(scaling.Number("beta_slow", 0), 1);
        // The pair that turns so often within the trained context.
        double PairOf(double turns) => dimensions * Math.Log(trained / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
        double low = PairOf(fast), high = PairOf(slow);
        if (scaling.Flag("truncate", true))
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, dimensions - 1));
        if (low == high)
            high += 0.001;
        double[] frequencies = [.. plain.Select((f, i) =>
        {
            var slowed = Math.Clamp((i - low) / (high - low), 0, 1);
            return f / factor * slowed + f * (1 - slowed);
        })];
        return new(_ => frequencies, attention);
    }

    /// <summary>LongRoPE (Ding et al. 2024): a factor for each pair, other ones beyond the trained context.</summary>
    private static RopeFrequencies LongRope(double[] plain, StrictJson scaling, int trained, int context)
    {
        var factor = scaling.Value("factor") is null ? (double)context / trained : Positive(scaling, "factor");
        var attention = scaling.OptionalNumber("attention_factor", null)
            ?? (factor <= 1 ? 1 : trained > 1 ? Math.Sqrt(1 + Math.Log(factor) / Math.Log(trained)) : throw scaling.Invalid("original_max_position_embeddings", "must be greater than 1"));
        double[] shorter = Factors("short_factor"), longer = Factors("long_factor");
        return new(length => length > trained ? longer : shorter, attention);

        double[] Factors(string key)
        {
            var factors = scaling.Numbers(key) ?? throw scaling.Invalid(key, "is missing");
            if (factors.Count != plain.Length || factors.Any(f => f <= 0))
                throw scaling.Invalid(key, $"must hold {plain.Length} positive numbers");
            return [.. plain.Zip(factors, (f, by) => f / by)];
        }
    }

    /// <summary>Llama 3.1: long waves slowed by the factor, short ones kept, those between blended.</summary>
    private static double[] Llama3(double[] plain, StrictJson scaling, int context)
    {
        double factor = Positive(scaling, "factor"), low = Positive(scaling, "low_freq_factor"), high = Positive(scaling, "high_freq_factor");
        var trained = scaling.Size(context, "original_max_position_embeddings");
        if (high <= low)
            throw scaling.Invalid("high_freq_factor", "must be greater than low_freq_factor");
        return Array.ConvertAll(plain, frequency =>
        {
            // Turns within the trained context.
            var turns = trained * frequency / (2 * Math.PI);
            var keep = Math.Clamp((turns - low) / (high - low), 0, 1);
            return (1 - keep) * frequency / factor + keep * frequency;
        });
    }

    /// <summary>A value that may stand in the nested object or, under either name, beside it. Where it stands more than once, all must agree.</summary>
    private static double Agreeing(ModelConfig config, StrictJson scaling, double fallback, string name, string otherName)
    {
        (StrictJson Where, string Key)[] places = [(scaling, name), (config, name), (config, otherName)];
        double? found = null;
        foreach (var (where, key) in places.Where(p => p.Where.Value(p.Key) is not null))
        {
            var value = where.Number(key, 0);
            if (found is { } before && before != value)
                throw where.Invalid(key, $"= {value} contradicts {name} {before}");
            found = value;
        }
        return found ?? fallback;
    }

    private static double OrDefault(double value, double fallback) => value == 0 ? fallback : value;

    private static double Positive(StrictJson json, string key) =>
        json.Number(key, double.NaN) is > 0 and var value ? value : throw json.Invalid(key, "must be given and positive");
}
