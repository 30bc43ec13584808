using SaeService.Columns;

namespace SaeService.Interpretation.Information;

/// <summary>What a measurement of V-information may spend and how it is drawn.</summary>
public sealed record InformationRules
{
    /// <summary>Train words a probe sees: the same number, and the same words, at every layer.</summary>
    public int MaxTrainWords { get; init; } = 20_000;

    /// <summary>Fewest words worth scoring, on train and on test.</summary>
    public int MinWords { get; init; } = 50;

    /// <summary>Below this many words, on train or on test, a label's own numbers are flagged.</summary>
    public int SmallLabel { get; init; } = 50;

    public int BootstrapSamples { get; init; } = 1000;

    public int Seed { get; init; } = 1;

    /// <summary>Threads a fit may use; no number depends on it.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Where what grows with the test words lies meanwhile.</summary>
    public ScratchSpace Scratch { get; init; } = ScratchSpace.Heap;

    /// <summary>Candidates of <see cref="VInformation.ChooseLambda"/>.</summary>
    public IReadOnlyList<double> Lambdas { get; init; } = [1, 1e-1, 1e-2, 1e-3, 1e-4];
}
