using SaeService.Contracts;

namespace SaeService.Estimates;

/// <param name="Blocks">Of the model; it has a layer more, the embedding.</param>
/// <param name="WeightBytes">As they are stored; null: as float32.</param>
public sealed record ModelSize(int Blocks, int DModel, int VocabularySize, long Parameters, long? WeightBytes)
{
    public static ModelSize Of(Model model) => new(model.Layers, model.DModel, model.VocabularySize, model.Parameters, model.WeightBytes);
}

/// <summary>What the needs of a job follow from.</summary>
public sealed record JobSize
{
    /// <summary>With every default filled in.</summary>
    public required JobRequest Request { get; init; }
    public required ModelSize Model { get; init; }

    /// <summary>Layers that are measured.</summary>
    public required int Layers { get; init; }

    /// <summary>Tokens of the corpus: of words, of special tokens, of text without labels.</summary>
    public required long Tokens { get; init; }
    public required long Words { get; init; }
    public required long Documents { get; init; }

    /// <summary>Different labels of each task.</summary>
    public required IReadOnlyList<int> Labels { get; init; }
}

/// <summary>How a worker uses its machine, as far as it matters here. The defaults are those of its settings on a CPU.</summary>
/// <param name="Threads">Of the numeric work.</param>
/// <param name="BatchTokens">Tokens of a forward pass.</param>
/// <param name="BytesPerParameter">Of the weights as computed with: 4, or 2 in half precision on a GPU.</param>
/// <param name="MaxModelBytes">Weights of more bytes are read block by block.</param>
/// <param name="MaxPassBytes">What forward passes that run side by side may hold.</param>
/// <param name="CheckpointSeconds">Between checkpoints of a training autoencoder.</param>
/// <param name="OnGpu">Whether weights, passes and trainers are in the memory of a GPU.</param>
public sealed record WorkerShape(int Threads, int BatchTokens = 1024, int BytesPerParameter = 4, long MaxModelBytes = long.MaxValue,
    long MaxPassBytes = long.MaxValue, double CheckpointSeconds = 10, bool OnGpu = false);
