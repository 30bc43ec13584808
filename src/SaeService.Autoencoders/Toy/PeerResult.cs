namespace SaeService.Autoencoders.Toy;

/// <summary>A figure of others' code on data of the same kind, to stand beside ours: not run here.</summary>
/// <param name="Source">Whose code, with what settings, and where the figure is from.</param>
/// <param name="Generator">As in <see cref="ToyGenerator.Name"/>.</param>
/// <param name="N">Latents.</param>
/// <param name="K">Latents kept for a row; null where another penalty takes its place.</param>
/// <param name="Mmcs">See <see cref="DictionaryRecovery"/>.</param>
/// <param name="Mcc">Likewise.</param>
/// <param name="Fvu">Fraction of variance unexplained.</param>
/// <param name="Dead">Latents that never fired.</param>
/// <param name="Seconds">Wall clock on one thread of another machine under load: only indicative.</param>
public sealed record PeerResult(string Source, string Generator, int N, int? K, double? Mmcs, double? Mcc, double? Fvu, int? Dead, double? Seconds)
{
    private const string Measured = " (measured with its code: 1500 steps of 4096 new rows, one seed)";
    private const string DictionaryLearning = "dictionary_learning TopK, rate 1e-3, warm-up 50, decay from 0.8" + Measured;
    private const string Published = " (published by SynthSAEBench: 200 M rows)";

    /// <summary>
    /// The toy rows were measured by running the peers' code, which reports no one-to-one assignment. The rows of SynthSAEBench are those of the documentation
    /// of SAELens 6.49 for its 16k model at an L0 of 25: other data than the scaled model, there to read its figures by and not to be compared with.
    /// </summary>
    public static IReadOnlyList<PeerResult> All { get; } =
    [
        new("base paper, L1 0.1, Adam 1e-3" + Measured, "uncorrelated", 512, null, 0.629, null, null, 0, 181),
        new("base paper, L1 0.316, Adam 1e-3" + Measured, "uncorrelated", 512, null, 0.709, null, null, 12, 197),
        new(DictionaryLearning, "correlated", 512, 5, 0.703, null, 0.082, null, 275),
        new(DictionaryLearning, "correlated", 1024, 8, 0.916, null, 0.016, null, 706),
        new("SAELens BatchTopK" + Published, "synthsaebench-16k", 4096, 25, null, 0.7574, 0.2077, null, null),
        new("SAELens Matryoshka" + Published, "synthsaebench-16k", 4096, 25, null, 0.7927, 0.2208, null, null),
        new("SAELens JumpReLU" + Published, "synthsaebench-16k", 4096, null, null, 0.7527, 0.2049, null, null),
        new("SAELens L1" + Published, "synthsaebench-16k", 4096, null, null, 0.6039, 0.2346, null, null),
    ];
}
