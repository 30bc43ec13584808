using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using TorchSharp;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Activation functions and rotary scaling by their formulas.</summary>
public sealed class PartsTests
{
    // Abramowitz and Stegun 7.1.5, the series, to double precision for the arguments below.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 5)
            return Math.Sign(x);
        double sum = 0, term = x;
        for (var n = 0; n < 200; n++)
        {
            sum += term / (2 * n + 1);
            term *= -x * x / (n + 1);
        }
        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double GeluTanh(double x) => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    private static readonly Dictionary<string, Func<double, double>> Formulas = new()
    {
        ["gelu"] = x => 0.5 * x * (1 + Erf(x / Math.Sqrt(2))),
        ["gelu_python"] = x => 0.5 * x * (1 + Erf(x / Math.Sqrt(2))),
        ["gelu_10"] = x => Math.Clamp(0.5 * x * (1 + Erf(x / Math.Sqrt(2))), -10, 10),
        ["gelu_new"] = GeluTanh,
        ["gelu_fast"] = GeluTanh,
        ["gelu_accurate"] = GeluTanh,
        ["gelu_pytorch_tanh"] = GeluTanh,
        ["gelu_python_tanh"] = GeluTanh,
        ["quick_gelu"] = x => x * Sigmoid(1.702 * x),
        ["hardswish"] = x => x * Math.Clamp(x + 3, 0, 6) / 6,
        ["laplace"] = x => 0.5 * (1 + Erf((x - 0.707107) / (0.282095 * Math.Sqrt(2)))),
        ["leaky_relu"] = x => x < 0 ? 0.01 * x : x,
        ["linear"] = x => x,
        ["mish"] = x => x * Math.Tanh(Math.Log(1 + Math.Exp(x))),
        ["relu"] = x => Math.Max(x, 0),
        ["relu2"] = x => Math.Max(x, 0) * Math.Max(x, 0),
        ["relu6"] = x => Math.Clamp(x, 0, 6),
        ["sigmoid"] = Sigmoid,
        ["silu"] = x => x * Sigmoid(x),
        ["swish"] = x => x * Sigmoid(x),
        ["sqrtsoftplus"] = x => Math.Sqrt(Math.Log(1 + Math.Exp(x))),
        ["tanh"] = Math.Tanh,
    };

    public static TheoryData<string> Names => [.. Formulas.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void An_activation_is_its_formula(string name)
    {
        using var scope = torch.NewDisposeScope();
        double[] at = [-4, -2.5, -1, -0.3, 0, 0.2, 0.9, 1.7, 3.1];
        var got = Activation.Of(name)!(torch.tensor((double[])at.Clone())).data<double>().ToArray();
        for (var i = 0; i < at.Length; i++)
            Assert.Equal(Formulas[name](at[i]), got[i], 1e-9);
    }

    [Theory]
    [InlineData("prelu")]
    [InlineData("xielu")]
    [InlineData("GELU")]
    [InlineData("")]
    public void Others_are_unknown(string name) => Assert.Null(Activation.Of(name));

    /// <summary>Of a head of 64, trained on 2048 positions unless the scaling says otherwise.</summary>
    private static RopeFrequencies Of(string? scaling, int context = 2048, double? partial = null, params (string Key, JsonNode Value)[] more)
    {
        var config = new JsonObject { ["model_type"] = "llama", ["max_position_embeddings"] = context };
        if (scaling is not null)
            config["rope_scaling"] = JsonNode.Parse(scaling);
        foreach (var (key, value) in more)
            config[key] = value;
        return RopeFrequencies.Read(new ModelConfig(JsonSerializer.SerializeToElement(config), "config.json"), 64, partial);
    }

    private static double[] Plain(double theta = 10000, int dimensions = 64) => [.. Enumerable.Range(0, dimensions / 2).Select(i => Math.Pow(theta, -2.0 * i / dimensions))];

    private static void AssertClose(IEnumerable<double> expected, double[] got) => Assert.All(expected.Zip(got), pair => Assert.Equal(pair.First, pair.Second, 1e-14));

    [Fact]
    public void Plain_linear_and_partial_rotation()
    {
        AssertClose(Plain(), Of(null).At(10));
        AssertClose(Plain().Select(f => f / 4), Of("""{"type":"linear","factor":4}""").At(10));
        AssertClose(Plain(dimensions: 16), Of(null, partial: 0.25).At(10));
        AssertClose(Plain(500000), Of(null, more: ("rope_parameters", JsonNode.Parse("""{"rope_type":"default","rope_theta":500000.0}""")!)).At(10));
        Assert.Equal(1, Of(null).Factor);
    }

    [Fact]
    public void Dynamic_scaling_grows_with_the_text()
    {
        var rope = Of("""{"rope_type":"dynamic","factor":2.0}""");
        AssertClose(Plain(), rope.At(2048));
        AssertClose(Plain(10000 * Math.Pow(2.0 * 3000 / 2048 - 1, 64 / 62.0)), rope.At(3000));
        AssertClose(Plain(), rope.At(100));
    }

    [Fact]
    public void Llama3_scaling_blends()
    {
        var plain = Plain();
        var got = Of("""{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}""").At(10);
        AssertClose(plain.Select(f =>
        {
            var wave = 2 * Math.PI / f;
            var smooth = (8192 / wave - 1) / 3;
            return wave > 8192 ? f / 8 : wave < 2048 ? f : (1 - smooth) * f / 8 + smooth * f;
        }), got);
        Assert.Contains(got.Zip(plain), pair => pair.First > pair.Second / 8 && pair.First < pair.Second);
    }

    /// <summary>Peng et al. 2023: pairs with more than 32 turns in the trained context keep their speed, those with less than one are slowed by the factor.</summary>
    [Theory]
    [InlineData("""{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":2048}""", 1.1386294361119891)]
    [InlineData("""{"rope_type":"yarn","original_max_position_embeddings":2048}""", 1.1386294361119891)]
    [InlineData("""{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":2048,"attention_factor":0.5}""", 0.5)]
    [InlineData("""{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":2048,"mscale":1.0,"mscale_all_dim":0.5}""", 1.1386294361119891 / 1.0693147180559945)]
    public void Yarn_slows_long_waves(string scaling, double factor)
    {
        var rope = Of(scaling, context: 8192);
        Assert.Equal(factor, rope.Factor, 1e-12);
        var (plain, got) = (Plain(), rope.At(10));
        double PairOf(double turns) => 64 * Math.Log(2048 / (turns * 2 * Math.PI)) / (2 * Math.Log(10000));
        double low = Math.Floor(PairOf(32)), high = Math.Ceiling(PairOf(1));
        Assert.InRange(low, 1, high - 5);
        for (var i = 0; i < 32; i++)
        {
            var ramp = Math.Clamp((i - low) / (high - low), 0, 1);
            Assert.Equal(plain[i] * (1 - ramp) + plain[i] / 4 * ramp, got[i], 1e-14);
        }
        Assert.Equal(plain[0], got[0]);
        Assert.Equal(plain[31] / 4, got[31], 1e-15);
    }

    [Fact]
    public void Longrope_changes_factors_beyond_the_trained_context()
    {
        static string List(double value) => $"[{string.Join(',', Enumerable.Repeat(value.ToString(System.Globalization.CultureInfo.InvariantCulture), 32))}]";
        var scaling = $$"""{"rope_type":"longrope","short_factor":{{List(1.5)}},"long_factor":{{List(3)}}}""";
        var rope = Of(scaling, 8192, null, ("original_max_position_embeddings", 2048));
        AssertClose(Plain().Select(f => f / 1.5), rope.At(2048));
        AssertClose(Plain().Select(f => f / 3), rope.At(2049));
        Assert.Equal(Math.Sqrt(1 + Math.Log(4) / Math.Log(2048)), rope.Factor, 1e-12);
    }

    [Fact]
    public void Proportional_rotation_leaves_a_tail()
    {
        var rope = Of("""{"rope_type":"proportional","partial_rotary_factor":0.25,"factor":2.0}""");
        AssertClose(Plain().Select((f, i) => i < 8 ? f / 2 : 0), rope.At(10));
    }

    /// <summary>Turning by the tables is the complex product, pair by pair, and leaves the rest of the head as it is.</summary>
    [Fact]
    public void Vectors_turn_by_their_positions()
    {
        using var scope = torch.NewDisposeScope();
        using var rope = new Rope(new RopeFrequencies(_ => [1.0, 0.1], 1.25), headDim: 6);
        var x = torch.randn(1, 4, 2, 6, dtype: torch.ScalarType.Float64);
        var (before, got) = (x.data<double>().ToArray(), rope.Apply(x).data<double>().ToArray());
        for (var t = 0; t < 4; t++)
            for (var h = 0; h < 2; h++)
            {
                var at = (t * 2 + h) * 6;
                for (var i = 0; i < 2; i++)
                {
                    var (sin, cos) = Math.SinCos(t * (i == 0 ? 1.0 : 0.1));
                    Assert.Equal(1.25 * (before[at + i] * cos - before[at + 2 + i] * sin), got[at + i], 1e-12);
                    Assert.Equal(1.25 * (before[at + 2 + i] * cos + before[at + i] * sin), got[at + 2 + i], 1e-12);
                }
                Assert.Equal(before[(at + 4)..(at + 6)], got[(at + 4)..(at + 6)]);
            }
    }
}
