using System.Runtime.InteropServices;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>What is written comes back: every bit where the layout has all its parts, the same function where a bias makes up for one it has not.</summary>
public sealed class FormatRoundTripTests
{
    private const int D = 20, F = 53;
    private static readonly SaeSource s_source = new("tiny", "blocks.1.hook_resid_post", "corpus", 128, true);

    public static TheoryData<SaeArchitecture, bool, SampleNorm, SaeFormat> Cases()
    {
        var cases = new TheoryData<SaeArchitecture, bool, SampleNorm, SaeFormat>();
        foreach (var architecture in Enum.GetValues<SaeArchitecture>())
            foreach (var centred in new[] { true, false })
                foreach (var norm in Enum.GetValues<SampleNorm>())
                    foreach (var format in Enum.GetValues<SaeFormat>())
                        cases.Add(architecture, centred, norm, format);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Of_every_kind_in_every_format(SaeArchitecture architecture, bool centred, SampleNorm norm, SaeFormat format)
    {
        using var scratch = new Scratch();
        var stored = new StoredSae(D, F, seed: 3) { Architecture = architecture };
        var norms = norm switch { SampleNorm.None => "none", SampleNorm.LayerNorm => "layer_norm", _ => "constant_norm_rescale" };
        var name = architecture switch { SaeArchitecture.TopK => "\"topk\",\"k\":3", SaeArchitecture.Standard => "\"standard\"", _ => "\"jumprelu\"" };
        FormatOracleTests.WriteSaeLens(scratch["from"], stored,
            $$"""{"architecture":{{name}},"d_in":20,"d_sae":53,"apply_b_dec_to_input":{{(centred ? "true" : "false")}},"normalize_activations":"{{norms}}"}""");
        var sae = SaeFolder.Load(scratch["from"]);

        var holds = format switch
        {
            SaeFormat.SaeLens => true,
            SaeFormat.Sparsify => architecture == SaeArchitecture.TopK && norm == SampleNorm.None,
            SaeFormat.DictionaryLearning => norm == SampleNorm.None,
            _ => architecture != SaeArchitecture.JumpRelu && norm != SampleNorm.ConstantNorm,
        };
        if (!holds)
        {
            Assert.Contains("and not a", Assert.Throws<NotSupportedException>(() => SaeFolder.Save(sae, format, scratch["to"], s_source)).Message);
            return;
        }
        SaeFolder.Save(sae, format, scratch["to"], s_source);
        var back = SaeFolder.Load(scratch["to"]);
        Assert.Equal((format, architecture), (SaeFolder.Describe(scratch["to"]).Format, back.Architecture));
        Assert.Equal((sae.K, sae.SampleNorm), (back.K, back.SampleNorm));
        Assert.True(Same(sae.Thresholds ?? [], back.Thresholds ?? []));
        Assert.True(Same(sae.Parameters.WEnc.Span, back.Parameters.WEnc.Span) && Same(sae.Parameters.WDec.Span, back.Parameters.WDec.Span));
        Assert.True(Same(sae.Parameters.BDec.Span, back.Parameters.BDec.Span));
        // Whether b_dec is taken off the input is a choice in SAELens, and of dictionary_learning's ReLU classes; elsewhere it is given.
        var asIs = format == SaeFormat.SaeLens || (format == SaeFormat.DictionaryLearning && architecture == SaeArchitecture.Standard)
            || centred == !(format == SaeFormat.DictionaryLearning && architecture == SaeArchitecture.JumpRelu);
        Assert.Equal(asIs, Same(sae.EncoderBias, back.EncoderBias));
        Assert.Equal(asIs, sae.SubtractsDecoderBias == back.SubtractsDecoderBias);

        var x = stored.Inputs(200);
        var (codes, again) = (sae.Encode(x, 200), back.Encode(x, 200));
        if (asIs)
        {
            Assert.Equal(codes.Value, again.Value);
            Assert.Equal(codes.Index, again.Index);
        }
        float[] first = new float[x.Length], second = new float[x.Length];
        sae.Decode(codes, first);
        back.Decode(again, second);
        Assert.True(first.Zip(second, (a, b) => Math.Abs(a - b)).Max() <= (asIs ? 0 : 1e-5 * first.Max(Math.Abs)));
    }

    [Fact]
    public void Of_what_was_trained_here_through_all_formats_and_back()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(400, 12);
        var trainer = new SaeTrainer(new(12, 40, 4, TrainTokens: 6400, BatchTokens: 64), activations, [.. Enumerable.Range(0, 400)]);
        while (trainer.Step()) { }
        var sae = trainer.Autoencoder();
        var current = sae;
        foreach (var format in new[] { SaeFormat.Sparsify, SaeFormat.DictionaryLearning, SaeFormat.OpenAi, SaeFormat.SaeLens })
        {
            SaeFolder.Save(current, format, scratch[format.ToString()], s_source);
            current = SaeFolder.Load(scratch[format.ToString()]);
        }
        foreach (var (name, _, _, values) in sae.Parameters.Tensors)
            Assert.True(Same(values.Span, current.Parameters.Tensors.Single(t => t.Name == name).Values.Span), name);
        Assert.Equal((sae.K, true), (current.K, current.SubtractsDecoderBias));
    }

    // Bits, so that -0 is not 0.
    private static bool Same(ReadOnlySpan<float> a, ReadOnlySpan<float> b) =>
        MemoryMarshal.AsBytes(a).SequenceEqual(MemoryMarshal.AsBytes(b));
}
