using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.TestSupport;
using TorchSharp;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>
/// Every value of the forward pass against Hugging Face's own code in float64 (random weights, 2e-5 of the largest value per tensor and layer), and
/// against llama2.c on trained models (1e-4 + 1e-5 |x|).
/// </summary>
public sealed class GoldenTests
{
    /// <summary>
    /// Every tensor of every family's fixture: in float32 within the tolerance that transformers itself keeps to, and in float64, where the goldens' own rounding
    /// is all that is left, so tightly that a wrong eps or another form of GELU shows.
    /// </summary>
    [Theory]
    [InlineData("bert-default")]
    [InlineData("distilbert-default")]
    [InlineData("gemma-default")]
    [InlineData("gemma2-default")]
    [InlineData("gpt2-default")]
    [InlineData("gpt_neo-default")]
    [InlineData("gpt_neox-default")]
    [InlineData("llama-default")]
    [InlineData("llama-bf16")]
    [InlineData("llama-fp16")]
    [InlineData("llama-sharded")]
    [InlineData("mistral-default")]
    [InlineData("opt-default")]
    [InlineData("phi-default")]
    [InlineData("qwen2-default")]
    [InlineData("qwen3-default")]
    [InlineData("roberta-default")]
    public void Equals_Hugging_Face(string variant)
    {
        var folder = ModelFolder.Open(SharedData.Require($"fixtures/transformers/{variant}"));
        using var expected = SafetensorsFile.Open(SharedData.Require($"fixtures/transformers/{variant}/expected.safetensors"));
        AssertAllNear(torch.ScalarType.Float32, pattern: true, 2e-5);
        // The fused kernel gives the same without the pattern.
        AssertAllNear(torch.ScalarType.Float32, pattern: false, 2e-5);
        AssertAllNear(torch.ScalarType.Float64, pattern: true, 3e-7);

        void AssertAllNear(torch.ScalarType dtype, bool pattern, double tolerance)
        {
            using var model = LanguageModel.Load(folder, dtype: dtype);
            var errors = GoldenComparison.Run(model, expected, pattern).Where(e => pattern || e.Tensor != "attn_pattern").ToArray();
            Assert.Equal(expected.Tensors.Keys.Except(["input_ids", "attention_mask", "token_type_ids", pattern ? "" : "attn_pattern"]).Order(), errors.Select(e => e.Tensor).Distinct().Order());
            Assert.Equal(folder.Description.Layers + 1, errors.Count(e => e.Tensor == "hidden_states"));
            Assert.All(errors, e => Assert.True(e.Passes(tolerance), $"{dtype}: {e}"));
        }
    }

    [Theory]
    [InlineData("stories260K", 5, 64)]
    [InlineData("stories3M", 6, 192)]
    public void Equals_llama2_c_on_trained_models(string name, int layers, int width)
    {
        var path = SharedData.Require($"data/models/{name}");
        var folder = ModelFolder.Open(path);
        Assert.Equal(("llama", "causal", layers, width, 512), (folder.Description.Family, folder.Description.Type, folder.Description.Layers, folder.Description.DModel, folder.Description.ContextLength));
        using var model = LanguageModel.Load(folder);
        Assert.Equal([folder.Description.VocabularySize, width], model.Unembedding.shape);
        using var reference = SafetensorsFile.Open(Path.Combine(path, "reference", "activations.safetensors"));
        using var story = JsonDocument.Parse(File.ReadAllText(Path.Combine(path, "reference", "reference.json")));
        var prompts = story.RootElement.GetProperty("prompts").EnumerateArray().ToArray();
        for (var p = 0; p < prompts.Length; p++)
        {
            var got = Recording.Of(model, reference.Matrix($"prompt{p}.input_ids"));
            void Compare(string tensor, float[] value) => AssertClose(reference.Floats($"prompt{p}.{tensor}"), value, $"prompt{p}.{tensor}");
            Compare("embed", got[HookPoint.Embed]);
            for (var l = 0; l < layers; l++)
            {
                Compare($"layers.{l}.attn_probs", got[HookPoint.AttnPattern, l]);
                Compare($"layers.{l}.attn_heads", got[HookPoint.AttnZ, l]);
                Compare($"layers.{l}.attn_out", got[HookPoint.AttnOut, l]);
                Compare($"layers.{l}.resid_mid", got[HookPoint.ResidMid, l]);
                Compare($"layers.{l}.mlp_act", got[HookPoint.MlpAct, l]);
                Compare($"layers.{l}.mlp_out", got[HookPoint.MlpOut, l]);
                Compare($"layers.{l}.resid_post", got[HookPoint.ResidPost, l]);
            }
            Compare("final_norm", got[HookPoint.FinalNorm]);
            Compare("logits", got[HookPoint.Logits]);
            var argmax = got[HookPoint.Logits].Chunk(folder.Description.VocabularySize).Select(row => Array.IndexOf(row, row.Max()));
            Assert.Equal(prompts[p].GetProperty("argmax_per_position").EnumerateArray().Select(i => i.GetInt32()), argmax);
        }
    }

    [Theory]
    [InlineData("model-f16.safetensors", 2e-3)]
    [InlineData("model-bf16.safetensors", 2e-2)]
    [InlineData("sharded", 0)]
    public void Other_storage_of_a_trained_model_loads(string variant, double tolerance)
    {
        var variants = SharedData.Require("data/models/stories260K-variants");
        var original = SharedData.Require("data/models/stories260K");
        using var temporary = new TemporaryFolder();
        var folder = Path.Combine(variants, variant);
        if (!Directory.Exists(folder))
        {
            File.Copy(folder, temporary.File("model.safetensors"));
            File.Copy(Path.Combine(original, "config.json"), temporary.File("config.json"));
            folder = temporary.Path;
        }
        using var model = LanguageModel.Load(ModelFolder.Open(folder));
        using var exact = LanguageModel.Load(ModelFolder.Open(original));
        Assert.Equal(exact.Parameters.Select(p => p.Name), model.Parameters.Select(p => p.Name));
        foreach (var (a, b) in exact.Parameters.Zip(model.Parameters))
        {
            using var scope = torch.NewDisposeScope();
            Assert.Equal(torch.ScalarType.Float32, b.Value.dtype);
            Assert.True((a.Value - b.Value).abs().max().item<float>() <= tolerance * a.Value.abs().max().item<float>(), a.Name);
        }
    }

    private static void AssertClose(float[] expected, float[] got, string what)
    {
        Assert.Equal(expected.Length, got.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - (double)got[i]) <= 1e-4 + 1e-5 * Math.Abs(expected[i]), $"{what}[{i}]: {got[i]} not {expected[i]}");
    }
}
