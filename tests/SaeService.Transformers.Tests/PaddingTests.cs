using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Padding on either side, and token types, against passes without them.</summary>
public sealed class PaddingTests
{
    private const int Pad = 1;

    private static readonly long[,] Text = { { 5, 9, 17, 33, 40 } };
    private static readonly long[,] Right = { { 5, 9, 17, 33, 40, Pad, Pad, Pad }, { 7, 8, 9, 10, 11, 12, 13, 14 } };
    private static readonly long[,] RightMask = { { 1, 1, 1, 1, 1, 0, 0, 0 }, { 1, 1, 1, 1, 1, 1, 1, 1 } };
    private static readonly long[,] Left = { { Pad, Pad, Pad, 5, 9, 17, 33, 40 }, { 7, 8, 9, 10, 11, 12, 13, 14 } };
    private static readonly long[,] LeftMask = { { 0, 0, 0, 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1, 1, 1 } };

    /// <summary>In every family real positions see no padding to their right.</summary>
    [Theory]
    [InlineData("bert-default")]
    [InlineData("distilbert-default")]
    [InlineData("roberta-default")]
    [InlineData("gpt2-default")]
    [InlineData("gpt_neo-default")]
    [InlineData("gpt_neox-default")]
    [InlineData("gemma2-default")]
    [InlineData("mistral-default")]
    [InlineData("opt-default")]
    [InlineData("phi-default")]
    public void Right_padding_changes_no_real_position(string fixture) => AssertSameText(fixture, Right, RightMask, 0);

    /// <summary>
    /// Rotations are relative, OPT counts what the mask shows, RoBERTa what is no padding id: there, a text means the same wherever it stands. Learned positions
    /// are counted from the left edge, as transformers' plain forward does.
    /// </summary>
    [Theory]
    [InlineData("llama-default", true)]
    [InlineData("mistral-default", true)]
    [InlineData("qwen3-default", true)]
    [InlineData("gemma2-default", true)]
    [InlineData("gpt_neox-default", true)]
    [InlineData("phi-default", true)]
    [InlineData("opt-default", true)]
    [InlineData("roberta-default", true)]
    [InlineData("gpt2-default", false)]
    [InlineData("gpt_neo-default", false)]
    [InlineData("bert-default", false)]
    [InlineData("distilbert-default", false)]
    public void Left_padding_shifts_learned_positions_only(string fixture, bool same)
    {
        if (same)
            AssertSameText(fixture, Left, LeftMask, 3);
        else
            Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => AssertSameText(fixture, Left, LeftMask, 3));
    }

    [Fact]
    public void Gpt2_looks_token_types_up_among_the_tokens_and_Llama_has_none()
    {
        using var variant = new Variant("gpt2-default");
        using var model = variant.Load();
        using var scope = TorchSharp.torch.NewDisposeScope();
        var (ids, types) = (TorchSharp.torch.tensor(Text), TorchSharp.torch.full_like(TorchSharp.torch.tensor(Text), 7));
        float[] plain = [], typed = [];
        model.Forward(ids, null, (_, _, v) => { plain = v.data<float>().ToArray(); return null; }, false, stopAfterBlock: -1);
        model.Forward(ids, null, (_, _, v) => { typed = v.data<float>().ToArray(); return null; }, false, stopAfterBlock: -1, tokenTypes: types);
        var embedding = variant.Tensors["transformer.wte.weight"].Values;
        for (var i = 0; i < plain.Length; i++)
            Assert.Equal(plain[i] + embedding[7 * 32 + i % 32], typed[i], 1e-6);
        using var other = new Variant("llama-default");
        using var llama = other.Load();
        Assert.Throws<ArgumentException>(() => llama.Forward(ids, null, null, true, tokenTypes: types));
        Assert.Throws<ArgumentException>(() => model.Forward(ids, null, null, true, tokenTypes: types[.., ..2]));
    }

    private static void AssertSameText(string fixture, long[,] padded, long[,] mask, int at)
    {
        using var variant = new Variant(fixture);
        using var model = variant.Load();
        var (plain, last) = (Recording.Of(model, Text), model.Description.Layers - 1);
        foreach (var pattern in new[] { true, false })
        {
            var got = Recording.Of(model, padded, mask, pattern);
            Assert.All(got.Values.Values, v => Assert.All(v.Values, x => Assert.True(float.IsFinite(x))));
            var (expected, width) = (plain[HookPoint.ResidPost, last], model.Description.DModel);
            var values = got[HookPoint.ResidPost, last].AsSpan(at * width, expected.Length).ToArray();
            var scale = expected.Max(Math.Abs);
            Assert.All(expected.Zip(values), pair => Assert.Equal(pair.First, pair.Second, 2e-5 * scale));
        }
    }
}
