using System.Text.Json;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Transformers.Tests;

/// <summary>The rest of a pass on its own, against whole passes; losses of spliced values, against libtorch's own on whole passes with a hook.</summary>
public sealed class SplicedPassTests
{
    [Theory]
    [InlineData("bert-default")]
    [InlineData("distilbert-default")]
    [InlineData("gemma-default")]
    [InlineData("gemma2-default")]
    [InlineData("gpt2-default")]
    [InlineData("gpt_neo-default")]
    [InlineData("gpt_neox-default")]
    [InlineData("llama-default")]
    [InlineData("mistral-default")]
    [InlineData("opt-default")]
    [InlineData("phi-default")]
    [InlineData("qwen2-default")]
    [InlineData("qwen3-default")]
    [InlineData("roberta-default")]
    public void From_any_block_on_a_pass_gives_the_logits_of_the_whole(string fixture)
    {
        using var variant = new Variant(fixture);
        using var model = variant.Load();
        Assert.SkipUnless(model.HasHead, "no language-model head");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (rows, given) = variant.Inputs();
        var (ids, mask) = (tensor(rows), tensor(given));
        var streams = new Dictionary<int, Tensor>();
        var whole = model.Forward(ids, mask, (point, block, value) =>
        {
            if (point is HookPoint.ResidPre)
                streams[block] = value.clone().DetachFromDisposeScope();
            if (point is HookPoint.ResidPost)
                streams[block + 1] = value.clone().DetachFromDisposeScope();
            return null;
        }, logits: true)!;
        var real = mask.to_type(ScalarType.Bool).unsqueeze(-1);
        foreach (var (block, stream) in streams)
        {
            using var _ = stream;
            var rest = model.Logits(model.ForwardFrom(stream, block, ids, mask, null));
            Assert.True(allclose(whole.masked_fill(~real, 0), rest.masked_fill(~real, 0), 1e-5, 1e-5), $"from block {block}");
        }
        Assert.Equal(model.Description.Layers + 1, streams.Count);
    }

    private static readonly JsonElement Config = JsonDocument.Parse("""
        {"model_type":"llama","hidden_size":16,"intermediate_size":24,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,
         "vocab_size":20,"max_position_embeddings":12,"initializer_range":0.5}
        """).RootElement;

    private static readonly int[][] Sequences = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 5, 8, 9, 7], [9], [3, 2, 3, 8, 4]];

    [Theory]
    [InlineData(HookPoint.Embed, -1)]
    [InlineData(HookPoint.ResidPre, 1)]
    [InlineData(HookPoint.ResidMid, 1)]
    [InlineData(HookPoint.AttnOut, 0)]
    [InlineData(HookPoint.MlpOut, 2)]
    [InlineData(HookPoint.ResidPost, 0)]
    [InlineData(HookPoint.ResidPost, 2)]
    public void Losses_are_those_of_whole_passes_with_the_values_replaced(HookPoint point, int block)
    {
        using var model = LanguageModel.Create(Config, seed: 4);
        using var noGrad = no_grad();
        var clean = Sequences.Select(s => Values(model, s, point, block)).ToArray();
        var random = new Random(7);
        var other = clean.Select(rows => Array.ConvertAll(rows, x => x + 4 * ((float)random.NextDouble() - 0.5f))).ToArray();
        var zero = clean.Select(rows => new float[rows.Length]).ToArray();
        var counted = Sequences.Select(s => s.Select((_, t) => t != 1).ToArray()).ToArray();

        // In two batches, and five tokens' logits of a variant at a time.
        var pass = new SplicedPass(model, (point, block), 4, logitsAtOnce: 4 * 5 * 20);
        var parts = new int[][] { [2, 0, 4], [1, 3] }.Select(batch =>
            pass.Run([.. batch.Select(i => new ReadOnlyMemory<int>(Sequences[i]))],
                [.. new[] { clean, clean, other, zero }.Select(v => batch.Select(i => v[i]).ToArray())], [.. batch.Select(i => counted[i])])).ToArray();
        Assert.Equal(0, pass.Run([Sequences[3]], [.. Enumerable.Repeat(new[] { clean[3] }, 4)], [[true]]).Predictions);
        var losses = parts[0] + parts[1];

        var expected = new (double Entropy, double Kl)[4];
        var predictions = 0;
        for (var i = 0; i < Sequences.Length; i++)
        {
            using var scope = NewDisposeScope();
            long[] at = [.. Enumerable.Range(0, Sequences[i].Length - 1).Where(t => counted[i][t]).Select(t => (long)t)];
            if (at.Length == 0)
                continue;
            predictions += at.Length;
            var targets = tensor(at.Select(t => (long)Sequences[i][t + 1]).ToArray());
            var plain = Logits(model, Sequences[i], point, block, null)[0].index_select(0, tensor(at));
            foreach (var (which, rows) in new[] { (0, null), (1, clean[i]), (2, other[i]), (3, zero[i]) })
            {
                var logits = Logits(model, Sequences[i], point, block, rows)[0].index_select(0, tensor(at));
                expected[which].Entropy += nn.functional.cross_entropy(logits, targets, reduction: nn.Reduction.Sum).item<float>();
                expected[which].Kl += nn.functional.kl_div(nn.functional.log_softmax(logits, -1), nn.functional.softmax(plain, -1), log_target: false,
                    reduction: nn.Reduction.Sum).item<float>();
            }
        }
        Assert.Equal(predictions, losses.Predictions);
        for (var which = 0; which < 4; which++)
        {
            Assert.Equal(expected[which].Entropy, losses.Variants[which].CrossEntropy, 1e-4);
            Assert.Equal(expected[which].Kl, losses.Variants[which].Kl, 1e-4);
        }
        Assert.Equal(losses.Variants[0].CrossEntropy, losses.Variants[1].CrossEntropy, 1e-5);
        Assert.Equal(0, losses.Variants[1].Kl, 1e-6);
        Assert.True(losses.Variants[2].Kl > 0.01, $"the other values change little: {losses.Variants[2].Kl}");
    }

    [Fact]
    public void What_predicts_no_next_token_or_is_no_such_place_is_refused()
    {
        using var causal = LanguageModel.Create(Config, seed: 4);
        using var encoder = LanguageModel.Create(JsonDocument.Parse("""
            {"model_type":"bert","hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":4,"vocab_size":20,
             "max_position_embeddings":12}
            """).RootElement, seed: 1);
        Assert.True(SplicedPass.Predicts(causal));
        Assert.False(SplicedPass.Predicts(encoder));
        Assert.Throws<ArgumentException>(() => new SplicedPass(encoder, (HookPoint.ResidPost, 0), 2));
        Assert.Throws<ArgumentException>(() => new SplicedPass(causal, (HookPoint.AttnPattern, 0), 2));
        using var scope = NewDisposeScope();
        var ids = zeros(1, 3, ScalarType.Int64);
        Assert.Throws<ArgumentException>(() => causal.ForwardFrom(zeros(1, 3, 16), 4, ids, null, null));
        Assert.Throws<ArgumentException>(() => causal.ForwardFrom(zeros(1, 3, 15), 0, ids, null, null));
        Assert.Throws<ArgumentException>(() => causal.ForwardFrom(zeros(1, 3, 16, dtype: ScalarType.Float64), 0, ids, null, null));
    }

    private static float[] Values(LanguageModel model, int[] sequence, HookPoint point, int block)
    {
        float[]? kept = null;
        new ActivationCapture(model, [(point, block)]).Run([sequence], (_, _, rows) => kept = rows.ToArray());
        return kept!;
    }

    private static Tensor Logits(LanguageModel model, int[] sequence, HookPoint point, int block, float[]? instead) =>
        model.Forward(tensor(Array.ConvertAll(sequence, x => (long)x)).unsqueeze(0), null,
            (p, l, value) => instead is not null && (p, l) == (point, block) ? tensor(instead).view(value.shape) : null, logits: true)!;
}
