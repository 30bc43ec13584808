using SaeService.Checkpoints;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>How far one value of a forward pass is from the one that was expected.</summary>
/// <param name="Tensor">Name in the file of expected values.</param>
/// <param name="Layer">Index into the tensor's first dimension; null where it has no layers.</param>
/// <param name="Error">Greatest absolute error over greatest absolute expected value, both over positions with attention mask 1. NaN where it was not compared.</param>
/// <param name="NotCompared">Why it was not compared; null where it was.</param>
public sealed record GoldenError(string Tensor, int? Layer, double Error, string? NotCompared = null)
{
    /// <summary>Written so that NaN is no pass.</summary>
    public bool Passes(double tolerance) => Error <= tolerance;
}

/// <summary>
/// Runs a model on the inputs in a file of expected values and compares all that the file holds: safetensors with <c>input_ids</c> and, where they are there,
/// <c>attention_mask</c> and <c>token_type_ids</c>, all I64 [B, T]; values inside the blocks as [L, ..], those outside without L. Values are compared as they
/// are computed, so none is kept.
/// </summary>
public sealed class GoldenComparison
{
    private static readonly string[] Inputs = ["input_ids", "attention_mask", "token_type_ids"];

    private static readonly Dictionary<string, HookPoint> InBlocks = new(StringComparer.Ordinal)
    {
        ["resid_pre"] = HookPoint.ResidPre,
        ["ln1_in"] = HookPoint.Ln1In,
        ["ln1_out"] = HookPoint.Ln1Out,
        ["attn_pattern"] = HookPoint.AttnPattern,
        ["attn_z"] = HookPoint.AttnZ,
        ["attn_out"] = HookPoint.AttnOut,
        ["attn_out_post_norm"] = HookPoint.AttnOutPostNorm,
        ["resid_mid"] = HookPoint.ResidMid,
        ["ln2_in"] = HookPoint.Ln2In,
        ["ln2_out"] = HookPoint.Ln2Out,
        ["mlp_act"] = HookPoint.MlpAct,
        ["mlp_out"] = HookPoint.MlpOut,
        ["mlp_out_post_norm"] = HookPoint.MlpOutPostNorm,
        ["resid_post"] = HookPoint.ResidPost,
    };

    private static readonly Dictionary<string, HookPoint> Outside = new(StringComparer.Ordinal)
    {
        ["embed"] = HookPoint.Embed,
        ["final_norm"] = HookPoint.FinalNorm,
        ["project_out"] = HookPoint.ProjectOut,
        ["pooler_output"] = HookPoint.PoolerOutput,
        ["seq_relationship_logits"] = HookPoint.SeqRelationship,
        ["logits"] = HookPoint.Logits,
    };

    // transformers' output_hidden_states, the last of which is what the head reads; and names for that one alone.
    private const string HiddenStates = "hidden_states";
    private static readonly string[] Last = ["last_hidden_state", "hidden_states_last"];

    private readonly SafetensorsFile _expected;
    private readonly int _layers;
    private readonly Tensor _real; // [B, T]
    private readonly Dictionary<(HookPoint Point, int Block), List<(string Tensor, int? Layer)>> _wanted = [];
    private readonly Dictionary<(string Tensor, int? Layer), GoldenError> _errors = [];

    private GoldenComparison(LanguageModel model, SafetensorsFile expected, Tensor real)
    {
        (_expected, _layers, _real) = (expected, model.Description.Layers, real);
        foreach (var entry in expected.Tensors.Values.Where(e => !Inputs.Contains(e.Name)))
            Want(entry);
    }

    /// <summary>All comparisons, in the order of the file's names and of the layers.</summary>
    /// <param name="model">Of any device and type.</param>
    /// <param name="expected">The inputs and the expected values.</param>
    /// <param name="attentionPattern">Whether to compute attention probabilities; without, the fused attention kernel runs, and they are not compared.</param>
    /// <exception cref="CheckpointException">Invalid: there are no inputs, or the model has no place for them.</exception>
    public static IReadOnlyList<GoldenError> Run(LanguageModel model, SafetensorsFile expected, bool attentionPattern = true)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var ids = Input("input_ids") ?? throw new CheckpointException(CheckpointFault.Invalid, expected.Path, "input_ids", "the tensor is missing");
        var mask = Input("attention_mask");
        var comparison = new GoldenComparison(model, expected, (mask ?? ones_like(ids)).ne(0));
        try
        {
            model.Forward(ids, mask, comparison.Compare, logits: true, attentionPattern: attentionPattern, tokenTypes: Input("token_type_ids"));
        }
        catch (ArgumentException e)
        {
            throw new CheckpointException(CheckpointFault.Invalid, expected.Path, null, $"its inputs are not for this model: {e.Message}", e);
        }
        comparison.RefuseRest();
        return [.. comparison._errors.Values.OrderBy(e => e.Tensor, StringComparer.Ordinal).ThenBy(e => e.Layer ?? -1)];

        Tensor? Input(string name)
        {
            if (!expected.Tensors.TryGetValue(name, out var entry))
                return null;
            return entry is { DType: DType.I64, Shape.Length: 2, Elements: > 0 }
                ? StoredTensors.Copied(expected, name)
                : throw new CheckpointException(CheckpointFault.Invalid, expected.Path, name, $"must be I64 [B, T], not {entry.DType} {entry.ShapeText}");
        }
    }

    private void Want(TensorEntry entry)
    {
        var (name, rows) = (entry.Name, entry.Shape.Length > 0 ? entry.Shape[0] : 0);
        if (!entry.DType.IsWeight())
            Refuse(name, null, $"is {entry.DType}, no floating type");
        else if (Outside.TryGetValue(name, out var point))
            Add((point, -1), name, null);
        else if (Last.Contains(name))
            Add((HookPoint.ResidPost, _layers - 1), name, null);
        else if (name == HiddenStates && (rows == _layers || rows == _layers + 1))
            for (var l = 0; l < rows; l++)
                Add(l == 0 ? (HookPoint.Embed, -1) : l < _layers ? (HookPoint.ResidPre, l) : (HookPoint.ResidPost, l - 1), name, l);
        else if (InBlocks.TryGetValue(name, out point) && rows == _layers)
            for (var l = 0; l < rows; l++)
                Add((point, l), name, l);
        else
            Refuse(name, null, InBlocks.ContainsKey(name) || name == HiddenStates ? $"has {rows} layers, the model {_layers}" : "no place of the pass is known by this name");

        void Add((HookPoint, int) place, string tensor, int? layer)
        {
            if (!_wanted.TryGetValue(place, out var list))
                _wanted.Add(place, list = []);
            list.Add((tensor, layer));
        }
    }

    private void Refuse(string tensor, int? layer, string why) => _errors[(tensor, layer)] = new GoldenError(tensor, layer, double.NaN, why);

    private void RefuseRest()
    {
        foreach (var (tensor, layer) in _wanted.SelectMany(w => w.Value).Where(w => !_errors.ContainsKey(w)))
            Refuse(tensor, layer, "the model offers no such value");
    }

    private Tensor? Compare(HookPoint point, int block, Tensor value)
    {
        if (_wanted.TryGetValue((point, block), out var list))
            foreach (var (tensor, layer) in list)
                _errors[(tensor, layer)] = Error(tensor, layer, value);
        // What the head reads comes after the last block, or is its output: the latest of them counts.
        if (point is HookPoint.FinalNorm or HookPoint.ProjectOut)
            foreach (var (tensor, layer) in _wanted.GetValueOrDefault((HookPoint.ResidPost, _layers - 1)) ?? [])
                if (tensor != "resid_post")
                    _errors[(tensor, layer)] = Error(tensor, layer, value);
        return null;
    }

    private GoldenError Error(string tensor, int? layer, Tensor value)
    {
        using var scope = NewDisposeScope();
        var expected = StoredTensors.Copied(_expected, tensor).to(ScalarType.Float64);
        if (layer is { } l)
            expected = expected[l];
        if (!expected.shape.AsSpan().SequenceEqual(value.shape))
            return new GoldenError(tensor, layer, double.NaN, $"has shape {TensorEntry.TextOf(expected.shape)}, the model gives {TensorEntry.TextOf(value.shape)}");
        // Rows of padding are not specified: positions [B, T, ..], queries [B, H, T, T], or whole sequences [B, ..] by their first token.
        var real = tensor == "attn_pattern" ? _real.unsqueeze(1) : expected.dim() >= 3 ? _real : _real.select(1, 0);
        while (real.dim() < expected.dim())
            real = real.unsqueeze(-1);
        real = real.expand(expected.shape);
        if (!real.any().item<bool>())
            return new GoldenError(tensor, layer, 0);
        var error = (value.cpu().to(ScalarType.Float64) - expected).abs().masked_select(real).max().item<double>();
        var scale = expected.abs().masked_select(real).max().item<double>();
        return new GoldenError(tensor, layer, error == 0 ? 0 : error / scale);
    }
}
