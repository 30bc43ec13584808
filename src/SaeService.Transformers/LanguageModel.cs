using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Transformers.Families;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// A language model whose every intermediate value can be seen and replaced. Weights and computation are float32. Not for use by two threads at once.
/// </summary>
public abstract class LanguageModel : IDisposable
{
    /// <summary>The families, one line each: a file under Families and its plan here.</summary>
    internal static IReadOnlyDictionary<string, Func<ModelConfig, ModelPlan>> Registry { get; } = new Dictionary<string, Func<ModelConfig, ModelPlan>>(StringComparer.Ordinal)
    {
        ["llama"] = Llama.Plan,
    };

    private readonly ParameterSet _parameters;

    protected LanguageModel(ModelDescription description, ParameterSet parameters, Device device) => (Description, _parameters, Device) = (description, parameters, device);

    public ModelDescription Description { get; }

    public Device Device { get; }

    /// <summary>[V, d]: the matrix from final norm to logits; the embedding itself where the two are tied.</summary>
    public abstract Tensor Unembedding { get; }

    /// <summary>[d]: gain of the norm after the last block; null where there is none.</summary>
    public abstract Tensor? FinalNormGain { get; }

    /// <summary>All tensors by their names in checkpoints. Of a model made by <see cref="Create"/> they require gradients and are TorchSharp Parameters.</summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters => _parameters.All;

    /// <summary>Loads a checkpoint for inference: nothing requires gradients.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="device">Where it computes; CPU by default.</param>
    /// <exception cref="CheckpointException">A switch of the config that is not supported, or a tensor that is missing, surplus, or of another shape or type.</exception>
    public static LanguageModel Load(ModelFolder folder, Device? device = null)
    {
        device ??= CPU;
        var config = folder.ReadConfig();
        var plan = PlanOf(config);
        using var weights = folder.OpenWeights();
        return plan.Build(folder.Description, ParameterSet.Load(weights, plan.Tensors, plan.Ignored, plan.Prefix, device), device);
    }

    /// <summary>A fresh model to be trained, its tensors drawn as the family initialises them (config's initializer_range).</summary>
    /// <param name="config">What config.json would hold.</param>
    /// <param name="seed">The same seed gives the same weights on every machine.</param>
    /// <param name="device">Where it computes; CPU by default.</param>
    public static LanguageModel Create(JsonElement config, int seed, Device? device = null)
    {
        device ??= CPU;
        var read = new ModelConfig(config, "config.json");
        var plan = PlanOf(read);
        var description = ModelDescription.Of(read, plan.Tensors.Sum(t => t.Elements));
        return plan.Build(description, ParameterSet.Create(plan.Tensors, read.Number("initializer_range", 0.02), seed, device), device);
    }

    /// <summary>Runs the model. Records a graph where gradients are enabled and something requires them.</summary>
    /// <param name="ids">[B, T] int64 token ids. Positions count from 0 at the left edge, padded or not.</param>
    /// <param name="mask">[B, T], 1 at real tokens and 0 at padding; null where all are real. Values at padding are unspecified, but finite.</param>
    /// <param name="hook">Called at every hook point, in order of computation.</param>
    /// <param name="logits">Whether to compute logits; without, the pass ends at the final norm.</param>
    /// <param name="stopAfterBlock">The last block to run, from 0; then neither final norm nor logits are computed. -1 stops after the embedding.</param>
    /// <param name="attentionPattern">Whether to offer AttnPattern, which costs T * T values a head.</param>
    /// <returns>[B, T, V] logits, owned by the caller's dispose scope; null where they were not asked for or not reached.</returns>
    /// <exception cref="ArgumentException">Wrong shape or type, an id outside the vocabulary, or more tokens than the context holds.</exception>
    public Tensor? Forward(Tensor ids, Tensor? mask, Hook? hook, bool logits, int? stopAfterBlock = null, bool attentionPattern = false)
    {
        Check(ids, mask, stopAfterBlock);
        using var scope = NewDisposeScope();
        return Run(ids.to(Device), mask, new Tap(hook, attentionPattern), logits, stopAfterBlock)?.MoveToOuterDisposeScope();
    }

    /// <summary>Writes the weights as safetensors, by their names in checkpoints.</summary>
    public void Save(string path) => _parameters.Save(path);

    public virtual void Dispose()
    {
        _parameters.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The family's forward pass, inside a dispose scope of its own; arguments are checked and ids on the device.</summary>
    protected abstract Tensor? Run(Tensor ids, Tensor? mask, Tap tap, bool logits, int? stopAfterBlock);

    private static ModelPlan PlanOf(ModelConfig config)
    {
        if (!Registry.TryGetValue(config.Family, out var plan))
            throw config.Unsupported("model_type", $"'{config.Family}' is not a supported family");
        var planned = plan(config);
        config.RefuseUnread();
        return planned;
    }

    private void Check(Tensor ids, Tensor? mask, int? stopAfterBlock)
    {
        if (ids.dim() != 2 || ids.dtype != ScalarType.Int64 || ids.shape[0] == 0 || ids.shape[1] == 0)
            throw new ArgumentException($"ids must be int64 [B, T], not {ids.dtype} [{string.Join(", ", ids.shape)}]", nameof(ids));
        if (ids.shape[1] > Description.ContextLength)
            throw new ArgumentException($"{ids.shape[1]} tokens are more than the context of {Description.ContextLength}", nameof(ids));
        if (mask is not null && !mask.shape.AsSpan().SequenceEqual(ids.shape))
            throw new ArgumentException("the mask must have the shape of ids", nameof(mask));
        if (stopAfterBlock is { } stop && (stop < -1 || stop >= Description.Layers))
            throw new ArgumentException($"there is no block {stop}", nameof(stopAfterBlock));
        using var scope = NewDisposeScope();
        // On CUDA an index out of range would poison the process.
        var (low, high) = (ids.min().cpu().item<long>(), ids.max().cpu().item<long>());
        if (low < 0 || high >= Description.VocabularySize)
            throw new ArgumentException($"id {(low < 0 ? low : high)} is outside the vocabulary of {Description.VocabularySize}", nameof(ids));
    }
}

/// <summary>What a family makes of a config: the tensors it needs, and how to build the model from them.</summary>
/// <param name="Tensors">In the order of the forward pass.</param>
/// <param name="Ignored">Names of tensors that checkpoints of this family may hold beside them: buffers, tied duplicates.</param>
/// <param name="Prefix">The part of the names that checkpoints of the model without head leave out.</param>
/// <param name="Build">Takes ownership of the tensors.</param>
internal sealed record ModelPlan(
    IReadOnlyList<TensorSpec> Tensors,
    Func<string, bool> Ignored,
    string Prefix,
    Func<ModelDescription, ParameterSet, Device, LanguageModel> Build);
