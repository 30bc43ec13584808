using System.Runtime.InteropServices;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Transformers;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Pipeline;

/// <summary>
/// The tokens a feature promotes and suppresses: its decoder direction through the final norm's gain and the unembedding, centred over the
/// vocabulary. What later blocks do with the direction is left out, so this says most near the end of the model.
/// </summary>
internal sealed class VocabularyEffects
{
    private const int Tokens = 10;
    private const int FeaturesAtOnce = 512;

    private readonly IReadOnlyList<TokenEffect>[] _promoted;
    private readonly IReadOnlyList<TokenEffect>[] _suppressed;

    /// <summary>The token of a row of the unembedding; empty for rows of a padded one, which are no tokens.</summary>
    public static string TextOf(Tokenizer tokenizer, int row) => row < tokenizer.VocabularySize ? tokenizer.TokenText(row) : "";

    private VocabularyEffects(IReadOnlyList<TokenEffect>[] promoted, IReadOnlyList<TokenEffect>[] suppressed) => (_promoted, _suppressed) = (promoted, suppressed);

    public (IReadOnlyList<TokenEffect> Promoted, IReadOnlyList<TokenEffect> Suppressed) Of(int feature) => (_promoted[feature], _suppressed[feature]);

    public static VocabularyEffects Of(SparseAutoencoder sae, LanguageModel model, Tokenizer tokenizer)
    {
        var (promoted, suppressed) = (new IReadOnlyList<TokenEffect>[sae.DSae], new IReadOnlyList<TokenEffect>[sae.DSae]);
        // OPT-350m's embeddings are narrower than its stream; what lies between is no mere direction.
        if (model.Unembedding.shape[1] != sae.DIn)
        {
            Array.Fill(promoted, []);
            Array.Fill(suppressed, []);
            return new(promoted, suppressed);
        }
        using var noGrad = torch.no_grad();
        using var outer = torch.NewDisposeScope();
        var unembedding = (model.FinalNormGain is { } gain ? model.Unembedding * gain : model.Unembedding).to(ScalarType.Float32); // [V, d]
        unembedding = unembedding - unembedding.mean([0], keepdim: true);
        var directions = new float[FeaturesAtOnce * sae.DIn];
        for (var from = 0; from < sae.DSae; from += FeaturesAtOnce)
        {
            using var scope = torch.NewDisposeScope();
            var count = Math.Min(FeaturesAtOnce, sae.DSae - from);
            for (var f = 0; f < count; f++)
                sae.DecoderRow(from + f).CopyTo(directions.AsSpan(f * sae.DIn));
            var effects = tensor(directions.AsSpan(0, count * sae.DIn).ToArray(), count, sae.DIn).to(unembedding.device).mm(unembedding.t()); // [f, V]
            var k = (int)Math.Min(Tokens, effects.shape[1]);
            Read(effects, largest: true, k, promoted, from);
            Read(effects, largest: false, k, suppressed, from);
        }
        return new(promoted, suppressed);

        void Read(Tensor effects, bool largest, int k, IReadOnlyList<TokenEffect>[] into, int from)
        {
            var (values, indices) = effects.topk(k, dim: 1, largest: largest, sorted: true);
            using var v = values.cpu().contiguous();
            using var i = indices.cpu().contiguous();
            var value = MemoryMarshal.Cast<byte, float>(v.bytes);
            var index = MemoryMarshal.Cast<byte, long>(i.bytes);
            for (var f = 0; f < v.shape[0]; f++)
            {
                var tokens = new TokenEffect[k];
                for (var n = 0; n < k; n++)
                    tokens[n] = new(TextOf(tokenizer, (int)index[f * k + n]), Math.Round(value[f * k + n], 4));
                into[from + f] = tokens;
            }
        }
    }
}
