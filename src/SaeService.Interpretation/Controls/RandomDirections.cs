using SaeService.Autoencoders;
using SaeService.Columns;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// The dictionary that knows nothing of the model's features: as many random unit directions as the autoencoder has latents. Direction j fires
/// on exactly as many words as latent j does, those with its highest projections above 0, so that density by feature and mean L0 are those of the
/// autoencoder and only the choice of directions differs.
/// </summary>
public static class RandomDirections
{
    /// <param name="d">Dimensions of a vector.</param>
    /// <param name="matched">The autoencoder's codes of the same words, whose densities are copied.</param>
    /// <param name="threads">That may be used; no code depends on them.</param>
    /// <param name="bytes">Bound on the projections held at once.</param>
    /// <param name="scratch">Where the codes lie; default: in memory.</param>
    public static SparseCodes Codes(ReadRows read, int d, SparseCodes matched, int seed, int threads = -1, long bytes = 64L << 20, ScratchSpace? scratch = null) =>
        MatchedCodes.ByDensity(DenseDictionary.Random(matched.Width, d, seed), read, d, matched.Rows, MatchedCodes.Densities(matched), threads, bytes, scratch);
}
