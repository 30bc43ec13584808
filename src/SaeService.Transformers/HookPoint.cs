using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// The named places of a forward pass. Those of a pre-norm block come in the order in which they are listed; where blocks compute attention and MLP in
/// parallel there is no <see cref="ResidMid"/>, and where norms come after the sums each norm's points follow the sum. Shapes: B sequences, T tokens,
/// d width, H heads, dh width of a head, V vocabulary.
/// </summary>
public enum HookPoint
{
    /// <summary>[B, T, d]: what enters the first block. Block is -1.</summary>
    Embed,

    /// <summary>[B, T, d]: the stream that enters the block.</summary>
    ResidPre,

    /// <summary>[B, T, d]: post-norm blocks only: the sum that the first norm reads.</summary>
    Ln1In,

    /// <summary>[B, T, d]: output of the block's first norm, its gain included.</summary>
    Ln1Out,

    /// <summary>[B, H, T, T]: attention probabilities, a row a query. Offered only where Forward is asked for them.</summary>
    AttnPattern,

    /// <summary>[B, T, H * dh]: the heads' outputs side by side, before the output projection.</summary>
    AttnZ,

    /// <summary>[B, T, d]: attention after its output projection; but for Gemma 2, what it adds to the stream.</summary>
    AttnOut,

    /// <summary>[B, T, d]: Gemma 2 only: attention after the norm that follows it, which is what is added to the stream.</summary>
    AttnOutPostNorm,

    /// <summary>[B, T, d]: the stream between attention and MLP. In post-norm blocks it is <see cref="Ln1Out"/>.</summary>
    ResidMid,

    /// <summary>[B, T, d]: output of the block's second norm, its gain included. In post-norm blocks it is <see cref="ResidPost"/>.</summary>
    Ln2Out,

    /// <summary>[B, T, d_mlp]: input of the MLP's last matrix; gated MLPs: act(gate) * up.</summary>
    MlpAct,

    /// <summary>[B, T, d]: output of the MLP; but for Gemma 2, what it adds to the stream.</summary>
    MlpOut,

    /// <summary>[B, T, d]: Gemma 2 only: the MLP after the norm that follows it, which is what is added to the stream.</summary>
    MlpOutPostNorm,

    /// <summary>[B, T, d]: post-norm blocks only: the sum that the second norm reads.</summary>
    Ln2In,

    /// <summary>[B, T, d]: the stream that leaves the block.</summary>
    ResidPost,

    /// <summary>[B, T, d]: output of the norm after the last block, where there is one. Block is -1.</summary>
    FinalNorm,

    /// <summary>[B, T, d_embed]: OPT with narrow embeddings only: the last stream projected to their width. Block is -1.</summary>
    ProjectOut,

    /// <summary>[B, d]: BERT's pooler, tanh(W x) of the first token, where the checkpoint holds one. Block is -1.</summary>
    PoolerOutput,

    /// <summary>[B, 2]: BERT's next-sentence head, where the checkpoint holds one. Block is -1.</summary>
    SeqRelationship,

    /// <summary>[B, T, V]: where the checkpoint holds a language-model head. Block is -1.</summary>
    Logits,
}

/// <summary>Sees, and may replace, a value of the forward pass.</summary>
/// <param name="point">Where.</param>
/// <param name="block">0 .. L-1; -1 for the points outside the blocks.</param>
/// <param name="value">
/// The value, of the type the model computes in, which belongs to the model and is freed or overwritten soon after: keep it by <c>clone()</c> or by
/// what is computed from it.
/// </param>
/// <returns>A tensor of the same shape to go on with, which stays the caller's; or null to leave the value as it is.</returns>
public delegate Tensor? Hook(HookPoint point, int block, Tensor value);
