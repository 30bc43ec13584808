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

    // Whose effects are held at once; on a CPU in blocks side by side.
    private const int FeaturesAtOnce = 512, BlocksAtOnce = 8;

    private readonly IReadOnlyList<TokenEffect>[] _promoted;
    private readonly IReadOnlyList<TokenEffect>[] _suppressed;

    /// <summary>The token of a row of the unembedding; empty for rows of a padded one, which are no tokens.</summary>
    public static string TextOf(Tokenizer tokenizer, int row) => row < tokenizer.VocabularySize ? tokenizer.TokenText(row) : "";

    private VocabularyEffects(IReadOnlyList<TokenEffect>[] promoted, IReadOnlyList<TokenEffect>[] suppressed) => (_promoted, _suppressed) = (promoted, suppressed);

    public (IReadOnlyList<TokenEffect> Promoted, IReadOnlyList<TokenEffect> Suppressed) Of(int feature) => (_promoted[feature], _suppressed[feature]);

    /// <param name="threads">That may be used; no effect depends on them.</param>
    public static VocabularyEffects Of(SparseAutoencoder sae, LanguageModel model, Tokenizer tokenizer, int threads)
    {
        var (promoted, suppressed) = (new IReadOnlyList<TokenEffect>[sae.DSae], new IReadOnlyList<TokenEffect>[sae.DSae]);
        // OPT-350m's embeddings are narrower than its stream; what lies between is no mere direction.
        if (model.Unembedding.shape[1] != sae.DIn)
        {
            Array.Fill(promoted, []);
            Array.Fill(suppressed, []);
            return new(promoted, suppressed);
        }
        using var inference = torch.no_grad();
        using var outer = torch.NewDisposeScope();
        var unembedding = (model.FinalNormGain is { } gain ? model.Unembedding * gain : model.Unembedding).to(ScalarType.Float32); // [V, d]
        unembedding = unembedding - unembedding.mean([0], keepdim: true);
        var block = model.Device.type == DeviceType.CPU ? FeaturesAtOnce / BlocksAtOnce : FeaturesAtOnce;
        Passes.Run(model, (sae.DSae + block - 1) / block, Math.Clamp(threads, 1, BlocksAtOnce), number =>
        {
            using var noGrad = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            var from = number * block;
            var directions = new float[Math.Min(block, sae.DSae - from) * sae.DIn];
            for (var f = 0; f < directions.Length / sae.DIn; f++)
                sae.DecoderRow(from + f).CopyTo(directions.AsSpan(f * sae.DIn));
            // In libtorch's own memory: sums depend on where a matrix lies.
            var rows = tensor(directions, directions.Length / sae.DIn, sae.DIn).clone().to(unembedding.device); // [f, d]
            var effects = rows.mm(unembedding.t()); // [f, V]
            var k = (int)Math.Min(Tokens, effects.shape[1]);
            Read(effects, largest: true, k, promoted, from);
            Read(effects, largest: false, k, suppressed, from);
        });
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
