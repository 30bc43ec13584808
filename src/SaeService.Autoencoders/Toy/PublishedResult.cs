namespace SaeService.Autoencoders.Toy;

/// <summary>A row that others' code was measured at, on data of the same kind: not run here.</summary>
/// <param name="Source">Whose code, with what settings, over how many samples.</param>
/// <param name="Generator">As in <see cref="ToyGenerator.Name"/>.</param>
/// <param name="N">Latents.</param>
/// <param name="K">Latents kept for a row; null where another penalty takes its place.</param>
/// <param name="Mmcs">See <see cref="DictionaryRecovery"/>.</param>
/// <param name="Mcc">Likewise.</param>
/// <param name="Fvu">Fraction of variance unexplained.</param>
/// <param name="Dead">Latents that never fired.</param>
/// <param name="Seconds">Wall clock on one thread of another machine under load: only indicative.</param>
public sealed record PublishedResult(string Source, string Generator, int N, int? K, double? Mmcs, double? Mcc, double? Fvu, int? Dead, double? Seconds)
{
    private const string BasePaper = "base paper's code (L1, Adam 1e-3), 1500 steps of 4096, one seed, l1 = ";
    private const string DictionaryLearning = "dictionary_learning TopK, learning rate 1e-3, warm-up 50, decay from 0.8, 1500 steps of 4096, one seed";

    /// <summary>
    /// One-to-one assignments were not measured for any of the toy rows. The rows of SynthSAEBench are of its 16k model (width 4096, 200 M samples; its
    /// documentation, SAELens 6.49): other data than the scaled model, there to read its figures by and not to be compared with.
    /// </summary>
    public static IReadOnlyList<PublishedResult> All { get; } =
    [
        new(BasePaper + "0.1", "uncorrelated", 512, null, 0.629, null, null, 0, 181),
        new(BasePaper + "0.316", "uncorrelated", 512, null, 0.709, null, null, 12, 197),
        new(DictionaryLearning, "correlated", 512, 5, 0.703, null, 0.082, null, 275),
        new(DictionaryLearning, "correlated", 1024, 8, 0.916, null, 0.016, null, 706),
        new("SAELens BatchTopK", "synthsaebench-16k", 4096, 25, null, 0.7574, 1 - 0.7923, null, null),
        new("SAELens Matryoshka", "synthsaebench-16k", 4096, 25, null, 0.7927, 1 - 0.7792, null, null),
        new("SAELens JumpReLU, L0 25", "synthsaebench-16k", 4096, null, null, 0.7527, 1 - 0.7951, null, null),
        new("SAELens L1, L0 25", "synthsaebench-16k", 4096, null, null, 0.6039, 1 - 0.7654, null, null),
    ];
}
