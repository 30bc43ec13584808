using SaeService.Checkpoints;

namespace SaeService.Transformers;

/// <summary>What a family makes of a config: the tensors it needs, and how to build the model from them.</summary>
/// <param name="Tensors">In the order of the forward pass.</param>
/// <param name="Prefix">The part of the names that checkpoints of the model without head leave out.</param>
/// <param name="Build">Takes ownership of the tensors.</param>
internal sealed record ModelPlan(TensorList Tensors, string Prefix, Func<ModelDescription, ParameterSet, LanguageModel> Build)
{
    /// <summary>Other names under which checkpoints may hold a tensor too, or instead; the two must be equal.</summary>
    public IReadOnlyList<(string Name, string SameAs)> Ties { get; init; } = [];

    /// <summary>Whether attention and MLP read the same stream, so that there is none between them.</summary>
    public bool ParallelBlocks { get; init; }
}
