namespace SaeService.Autoencoders.Torch;

/// <summary>How latents are chosen in training.</summary>
internal enum TrainingArchitecture
{
    /// <summary>The k largest of each token (Gao et al. 2024, arXiv 2406.04093).</summary>
    TopK,

    /// <summary>The B k largest of a batch of B tokens (Bussmann et al. 2024, arXiv 2412.06410).</summary>
    BatchTopK,

    /// <summary>The same, and nested prefixes of the latents each reconstruct (Bussmann et al. 2025, arXiv 2503.17547).</summary>
    MatryoshkaBatchTopK,
}
