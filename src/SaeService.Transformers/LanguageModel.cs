using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Transformers.Families;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// A language model whose every intermediate value can be seen and replaced. Forward passes may run side by side only as <see cref="Passes"/> runs them.
/// </summary>
public abstract class LanguageModel : IDisposable
{
    /// <summary>
    /// The families, one line each: a file under Families and its plan here. A plan is made from the config and from a question: whether the checkpoint holds
    /// a tensor, for heads that some checkpoints of a family have.
    /// </summary>
    internal static IReadOnlyDictionary<string, Func<ModelConfig, Func<string, bool>, ModelPlan>> Registry { get; } =
        new Dictionary<string, Func<ModelConfig, Func<string, bool>, ModelPlan>>(StringComparer.Ordinal)
        {
            ["bert"] = Bert.Plan,
            ["camembert"] = Roberta.Plan,
            ["distilbert"] = DistilBert.Plan,
            ["gemma"] = Gemma.Plan,
            ["gemma2"] = Gemma2.Plan,
            ["gpt2"] = Gpt2.Plan,
            ["gpt_neo"] = GptNeo.Plan,
            ["gpt_neox"] = GptNeoX.Plan,
            ["llama"] = Llama.Plan,
            ["mistral"] = Mistral.Plan,
            ["opt"] = Opt.Plan,
            ["phi"] = Phi.Plan,
            ["qwen2"] = Qwen2.Plan,
            ["qwen3"] = Qwen3.Plan,
            ["roberta"] = Roberta.Plan,
            ["xlm-roberta"] = Roberta.Plan,
        };

    private readonly ParameterSet _parameters;

    private protected LanguageModel(ModelDescription description, ParameterSet parameters) => (Description, _parameters) = (description, parameters);

    public ModelDescription Description { get; }

    public Device Device => _parameters.Device;

    /// <summary>What the model computes in, and the type of the values that hooks see.</summary>
    public ScalarType DType => _parameters.DType;

    /// <summary>[V, d]: the matrix from the last stream to logits, norms and nonlinear heads left out; the embedding itself where the two are tied.</summary>
    public abstract Tensor Unembedding { get; }

    /// <summary>[d]: gain of the norm after the last block; null where there is none.</summary>
    public abstract Tensor? FinalNormGain { get; }

    /// <summary>Whether all weights are in memory.</summary>
    public bool IsResident => _parameters.IsResident;

    /// <summary>Whether there is a head, and so logits.</summary>
    public virtual bool HasHead => true;

    /// <summary>Values that a token type may have, from 0; 0 for families without token types.</summary>
    public virtual int TokenTypes => 0;

    /// <summary>
    /// The tensors in memory by their names in checkpoints. Of a model made by <see cref="Create"/> they require gradients and are TorchSharp Parameters.
    /// </summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters => _parameters.All;

    private protected ParameterSet Set => _parameters;

    /// <summary>Loads a checkpoint for inference: nothing requires gradients.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="device">Where it computes; CPU by default.</param>
    /// <param name="dtype">What it computes in: float32 by default, or bfloat16 or float16, meant for CUDA, or float64. Norms, softmax and positions stay in float32 at least.</param>
    /// <param name="mode">Whether to have all weights in memory.</param>
    /// <param name="untrained">What to have instead of the trained weights: the same model, heads and all, as nobody has trained it.</param>
    /// <exception cref="CheckpointException">A switch of the config that is not supported, or a tensor that is missing, surplus, or of another shape or type.</exception>
    public static LanguageModel Load(ModelFolder folder, Device? device = null, ScalarType dtype = ScalarType.Float32, LoadMode mode = LoadMode.Resident,
        Untrained? untrained = null)
    {
        if (dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64))
            throw new ArgumentException($"a model does not compute in {dtype}", nameof(dtype));
        device ??= CPU;
        var (plan, stored) = Open(folder);
        var fresh = untrained is null ? null : FreshTensors.Of(folder.ReadConfig(), untrained);
        return plan.Build(folder.Description, ParameterSet.Load(stored, plan.Tensors.Specs, dtype, device, mode, fresh));
    }

    /// <summary>
    /// Whether <see cref="Load"/> would accept the checkpoint, from its config and headers: no weight is read but where two names must hold the same.
    /// </summary>
    /// <param name="folder">The model.</param>
    /// <param name="point">A place that its passes are to offer.</param>
    /// <exception cref="CheckpointException">As <see cref="Load"/>; or Unsupported where the model has no such place.</exception>
    public static void Check(ModelFolder folder, HookPoint? point = null)
    {
        var (plan, stored) = Open(folder);
        stored.Dispose();
        if (point == HookPoint.ResidMid && plan.ParallelBlocks)
            throw folder.ReadConfig().Unsupported("model_type", "blocks of this model compute attention and MLP in parallel: there is no stream between them (resid_mid)");
    }

    /// <summary>A fresh model to be trained, its tensors drawn as the family initialises them (config's initializer_range).</summary>
    /// <param name="config">What config.json would hold.</param>
    /// <param name="seed">The same seed gives the same weights on every machine.</param>
    /// <param name="device">Where it computes; CPU by default.</param>
    public static LanguageModel Create(JsonElement config, int seed, Device? device = null)
    {
        var read = new ModelConfig(config, "config.json");
        var plan = PlanOf(read, _ => true);
        var description = ModelDescription.Of(read, plan.Tensors.Specs.Sum(t => t.Elements));
        var fresh = FreshTensors.Of(read, new Untrained(UntrainedWeights.Fresh, seed));
        return plan.Build(description, ParameterSet.Create(plan.Tensors.Specs, fresh, device ?? CPU));
    }

    /// <summary>Runs the model. Records a graph where gradients are enabled and something requires them.</summary>
    /// <param name="ids">[B, T] int64 token ids. Positions count from 0 at the left edge, padded or not; but OPT counts real tokens, RoBERTa those that are no padding id.</param>
    /// <param name="mask">[B, T], 1 at real tokens and 0 at padding; null where all are real. Values at padding are unspecified, but finite.</param>
    /// <param name="hook">Called at every hook point, in order of computation.</param>
    /// <param name="logits">Whether to compute logits, and the other heads; without, the pass ends at the final norm.</param>
    /// <param name="stopAfterBlock">The last block to run, from 0; then neither final norm nor logits are computed. -1 stops after the embedding.</param>
    /// <param name="attentionPattern">Whether to offer AttnPattern, which costs T * T values a head.</param>
    /// <param name="tokenTypes">[B, T] int64, 0 .. TokenTypes - 1; null for all 0, or none.</param>
    /// <returns>[B, T, V] logits, owned by the caller's dispose scope; null where they were not asked for, not reached, or there is no head.</returns>
    /// <exception cref="ArgumentException">Wrong shape or type, an id outside the vocabulary, or more tokens than the context holds.</exception>
    public Tensor? Forward(Tensor ids, Tensor? mask, Hook? hook, bool logits, int? stopAfterBlock = null, bool attentionPattern = false, Tensor? tokenTypes = null)
    {
        Check(ids, mask, tokenTypes, stopAfterBlock);
        using var scope = NewDisposeScope();
        using var pass = new Pass(ids.to(Device), mask, tokenTypes, hook, attentionPattern, DType);
        var x = Blocks(pass.At(HookPoint.Embed, -1, Embed(pass)), 0, stopAfterBlock ?? Description.Layers - 1, pass); // [B, T, d]
        if (stopAfterBlock is not null)
            return null;
        x = Finish(x, pass);
        return logits ? Head(x, pass)?.MoveToOuterDisposeScope() : null;
    }

    /// <summary>Runs the rest of a forward pass, from a stream that may be another than the model's own.</summary>
    /// <param name="stream">[B, T, d], of the type the model computes in: what enters the first block to be run. Stays the caller's.</param>
    /// <param name="firstBlock">0 .. L; with L blocks only the final norm is left.</param>
    /// <param name="ids">[B, T] int64: positions and masks are those of <see cref="Forward"/>; no embedding is looked up.</param>
    /// <param name="mask">[B, T], 1 at real tokens and 0 at padding; null where all are real.</param>
    /// <param name="hook">Called at every hook point from there on.</param>
    /// <returns>[B, T, ..]: what the head reads, for <see cref="Logits"/>; owned by the caller's dispose scope.</returns>
    /// <exception cref="ArgumentException">Wrong shape or type, or no such block.</exception>
    public Tensor ForwardFrom(Tensor stream, int firstBlock, Tensor ids, Tensor? mask, Hook? hook)
    {
        Check(ids, mask, null, null);
        if (firstBlock < 0 || firstBlock > Description.Layers)
            throw new ArgumentException($"there is no block {firstBlock}", nameof(firstBlock));
        if (stream.dtype != DType || !stream.shape.AsSpan().SequenceEqual([.. ids.shape, Description.DModel]))
            throw new ArgumentException(
                $"the stream must be {DType} [{ids.shape[0]}, {ids.shape[1]}, {Description.DModel}], not {stream.dtype} [{string.Join(", ", stream.shape)}]",
                nameof(stream));
        using var scope = NewDisposeScope();
        using var pass = new Pass(ids.to(Device), mask, null, hook, pattern: false, DType);
        // A handle of our own, since each block frees the stream that it read.
        return Finish(Blocks(stream.to(Device).alias(), firstBlock, Description.Layers - 1, pass), pass).MoveToOuterDisposeScope();
    }

    /// <summary>The head alone.</summary>
    /// <param name="final">[B, T, ..] from <see cref="ForwardFrom"/>, or any rows of it: a head looks at one token at a time.</param>
    /// <returns>[B, T, V], owned by the caller's dispose scope.</returns>
    /// <exception cref="InvalidOperationException">There is no head.</exception>
    public Tensor Logits(Tensor final)
    {
        if (!HasHead)
            throw new InvalidOperationException("the checkpoint has no language-model head");
        using var scope = NewDisposeScope();
        using var pass = new Pass(zeros([final.shape[0], final.shape[1]], ScalarType.Int64, Device), null, null, null, pattern: false, DType);
        return Head(final, pass)!.MoveToOuterDisposeScope();
    }

    /// <inheritdoc cref="ParameterSet.Share"/>
    internal SharedBlocks? ShareBlocks(int passes) => _parameters.Share(passes);

    private Tensor Blocks(Tensor x, int first, int last, Pass pass)
    {
        for (var l = first; l <= last; l++)
        {
            var before = x;
            using (_parameters.Hold(l))
            using (var block = NewDisposeScope())
                x = pass.At(HookPoint.ResidPost, l, Block(l, pass.At(HookPoint.ResidPre, l, x), pass)).MoveToOuterDisposeScope();
            before.Dispose();
        }
        return x;
    }

    /// <summary>Writes the weights as safetensors, by their names in checkpoints.</summary>
    public void Save(string path) => _parameters.Save(path);

    public virtual void Dispose()
    {
        _parameters.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>[B, T, d]: what enters the first block.</summary>
    private protected abstract Tensor Embed(Pass pass);

    /// <summary>The stream that leaves the block, [B, T, d], from the one that enters it. The caller shows both to the hook.</summary>
    private protected abstract Tensor Block(int l, Tensor x, Pass pass);

    /// <summary>What the head reads, from the last stream: the final norm, where there is one.</summary>
    private protected virtual Tensor Finish(Tensor x, Pass pass) => x;

    /// <summary>[B, T, V] from what <see cref="Finish"/> gave; null where there is no head.</summary>
    private protected abstract Tensor? Head(Tensor x, Pass pass);

    private static (ModelPlan Plan, StoredTensors Stored) Open(ModelFolder folder)
    {
        var weights = folder.OpenWeights();
        try
        {
            var plan = PlanOf(folder.ReadConfig(), weights.Contains);
            return (plan, new StoredTensors(weights, plan));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ModelPlan PlanOf(ModelConfig config, Func<string, bool> holds)
    {
        if (!Registry.TryGetValue(config.Family, out var plan))
            throw config.Unsupported("model_type", $"'{config.Family}' is not a supported family");
        var planned = plan(config, holds);
        config.RefuseUnread();
        return planned;
    }

    private void Check(Tensor ids, Tensor? mask, Tensor? tokenTypes, int? stopAfterBlock)
    {
        if (ids.dim() != 2 || ids.dtype != ScalarType.Int64 || ids.shape[0] == 0 || ids.shape[1] == 0)
            throw new ArgumentException($"ids must be int64 [B, T], not {ids.dtype} [{string.Join(", ", ids.shape)}]", nameof(ids));
        if (ids.shape[1] > Description.ContextLength)
            throw new ArgumentException($"{ids.shape[1]} tokens are more than the context of {Description.ContextLength}", nameof(ids));
        if (mask is not null && !mask.shape.AsSpan().SequenceEqual(ids.shape))
            throw new ArgumentException("the mask must have the shape of ids", nameof(mask));
        if (tokenTypes is not null && (tokenTypes.dtype != ScalarType.Int64 || !tokenTypes.shape.AsSpan().SequenceEqual(ids.shape)))
            throw new ArgumentException("token types must be int64 of the shape of ids", nameof(tokenTypes));
        if (stopAfterBlock is { } stop && (stop < -1 || stop >= Description.Layers))
            throw new ArgumentException($"there is no block {stop}", nameof(stopAfterBlock));
        // On CUDA an index out of range would poison the process.
        CheckRange(ids, Description.VocabularySize, "id", "the vocabulary", nameof(ids));
        if (tokenTypes is not null)
            CheckRange(tokenTypes, TokenTypes, "token type", "the model's token types,", nameof(tokenTypes));
    }

    private static void CheckRange(Tensor values, int count, string what, string of, string parameter)
    {
        using var scope = NewDisposeScope();
        var (low, high) = (values.min().cpu().item<long>(), values.max().cpu().item<long>());
        if (low < 0 || high >= count)
            throw new ArgumentException($"{what} {(low < 0 ? low : high)} is outside {of} of {count}", parameter);
    }
}
