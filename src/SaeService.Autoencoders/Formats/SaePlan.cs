using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// What a format found out from the configuration and the headers of the weights: sizes within bounds, every tensor of the right type and shape, none
/// left over. Nothing is allocated for a plan; <see cref="Load"/> then reads the values.
/// </summary>
/// <param name="DIn">d.</param>
/// <param name="DSae">F.</param>
/// <param name="K">0 without top-k.</param>
/// <param name="Fill">Reads all four parameters, every scale folded in. The buffers are zero before.</param>
internal sealed record SaePlan(int DIn, int DSae, int K, Action<SaeParameters> Fill)
{
    /// <summary>Reads the latents' thresholds, [F]; null for top-k and ReLU.</summary>
    public Func<float[]>? Thresholds { get; init; }
    public bool SubtractsDecoderBias { get; init; } = true;
    public SampleNorm SampleNorm { get; init; }
    public float InputScale { get; init; } = 1;

    /// <summary>Of a top-k: <see cref="SparseAutoencoder.Threshold"/>.</summary>
    public float? Threshold { get; init; }

    public SaeArchitecture Architecture => K > 0 ? SaeArchitecture.TopK : Thresholds is null ? SaeArchitecture.Standard : SaeArchitecture.JumpRelu;

    /// <exception cref="CheckpointException">A tensor holds a value that is not finite, also after its scales were folded in.</exception>
    public SparseAutoencoder Load(string file, Lanes lanes)
    {
        var parameters = new SaeParameters(DIn, DSae);
        Fill(parameters);
        foreach (var (name, _, _, values) in parameters.Tensors)
            Finite(file, name, values.Span);
        var thresholds = Thresholds?.Invoke();
        Finite(file, "threshold", thresholds);
        return new(parameters, K, InputScale, Threshold, lanes)
        {
            Thresholds = thresholds,
            SubtractsDecoderBias = SubtractsDecoderBias,
            SampleNorm = SampleNorm,
        };
    }

    /// <summary>The same limits as for training; they also keep every buffer within one array.</summary>
    /// <param name="file">Which says the sizes.</param>
    /// <param name="k">0 without top-k.</param>
    /// <exception cref="CheckpointException">Invalid: the message names the size and its bounds.</exception>
    public static void CheckSizes(string file, long dIn, long dSae, int k)
    {
        try
        {
            new SaeTrainingSettings((int)Math.Min(dIn, int.MaxValue), (int)Math.Min(dSae, int.MaxValue), k == 0 ? 1 : k, BatchTokens: 1).Validate();
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(CheckpointFault.Invalid, file, null, e.Message, e);
        }
    }

    private static void Finite(string file, string name, ReadOnlySpan<float> values)
    {
        foreach (var value in values)
            if (!float.IsFinite(value))
                throw new CheckpointException(CheckpointFault.Invalid, file, name, $"holds {value}");
    }
}
