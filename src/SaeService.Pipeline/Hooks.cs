using System.Globalization;
using SaeService.Transformers;

namespace SaeService.Pipeline;

/// <summary>A layer of a request as a place in the model: layer 0 is the embedding, layer l the named point of block l - 1.</summary>
internal static class Hooks
{
    public static (HookPoint Point, int Block) PlaceOf(string hook, int layer) => layer == 0 ? (HookPoint.Embed, -1) : (PointOf(hook), layer - 1);

    /// <summary>As the document names it: <c>embed</c>, <c>blocks.2.resid_post</c>.</summary>
    public static string NameOf(string hook, int layer) => layer == 0 ? "embed" : string.Create(CultureInfo.InvariantCulture, $"blocks.{layer - 1}.{hook}");

    public static HookPoint PointOf(string hook) => hook switch
    {
        "resid_post" => HookPoint.ResidPost,
        "resid_pre" => HookPoint.ResidPre,
        "resid_mid" => HookPoint.ResidMid,
        "attn_out" => HookPoint.AttnOut,
        "mlp_out" => HookPoint.MlpOut,
        _ => throw new ArgumentException($"'{hook}' is not a hook point", nameof(hook)),
    };
}
