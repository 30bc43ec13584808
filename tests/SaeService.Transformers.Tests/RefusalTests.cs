using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Transformers.Tests;

public sealed class RefusalTests
{
    [Fact]
    public void Every_damaged_model_folder_is_refused()
    {
        var root = SharedData.Require("fixtures/transformers/negative_models");
        using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(root, "manifest.json")));
        foreach (var item in manifest.RootElement.EnumerateArray())
        {
            var name = item.GetProperty("folder").GetString()!;
            var e = Record.Exception(() => LanguageModel.Load(ModelFolder.Open(Path.Combine(root, name))).Dispose());
            Assert.True(e is CheckpointException, $"{name}: {e}");
        }
    }

    [Theory]
    [InlineData("pickle_only", CheckpointFault.PickleOnly, "pytorch_model.bin", null)]
    [InlineData("pickle_sharded", CheckpointFault.PickleOnly, "safetensors", null)]
    [InlineData("shard_file_missing", CheckpointFault.NotFound, "model-00002-of-00002.safetensors", null)]
    [InlineData("shard_tensor_missing", CheckpointFault.Invalid, "model-00002-of-00002.safetensors", "model.norm.weight")]
    [InlineData("index_path_traversal", CheckpointFault.OutsideFolder, "model.safetensors.index.json", "../../llama-default/model.safetensors")]
    [InlineData("index_absolute_path", CheckpointFault.OutsideFolder, "model.safetensors.index.json", null)]
    [InlineData("tensor_missing", CheckpointFault.Invalid, "missing", "model.layers.1.mlp.up_proj.weight")]
    [InlineData("tensor_wrong_shape", CheckpointFault.Invalid, "[32, 31]", "model.layers.0.self_attn.q_proj.weight")]
    [InlineData("tensor_transposed_nonsquare", CheckpointFault.Invalid, "[32, 56]", "model.layers.0.mlp.up_proj.weight")]
    [InlineData("untied_lm_head_missing", CheckpointFault.Invalid, "missing", "lm_head.weight")]
    [InlineData("layer_surplus", CheckpointFault.Invalid, "no such tensor", "model.layers.2.input_layernorm.weight")]
    [InlineData("layer_shortage", CheckpointFault.Invalid, "missing", "model.layers.3.input_layernorm.weight")]
    [InlineData("vocab_mismatch", CheckpointFault.Invalid, "[131, 32]", "model.embed_tokens.weight")]
    [InlineData("int_weight", CheckpointFault.Invalid, "I64", "model.norm.weight")]
    [InlineData("unsupported_model_type", CheckpointFault.Unsupported, "mamba", "model_type")]
    [InlineData("unsupported_act", CheckpointFault.Unsupported, "swiglu_oai", "hidden_act")]
    [InlineData("unsupported_rope", CheckpointFault.Unsupported, "longrope_v9", "rope_scaling.rope_type")]
    [InlineData("kv_heads_not_divisible", CheckpointFault.Invalid, "evenly", "num_key_value_heads")]
    [InlineData("config_missing", CheckpointFault.NotFound, "config.json", null)]
    [InlineData("config_not_json", CheckpointFault.Invalid, "config.json", null)]
    [InlineData("weights_missing", CheckpointFault.NotFound, "no weights", null)]
    public void The_refusal_names_fault_file_and_key(string name, CheckpointFault fault, string words, string? key)
    {
        var folder = SharedData.Require($"fixtures/transformers/negative_models/{name}");
        var e = Assert.Throws<CheckpointException>(() => LanguageModel.Load(ModelFolder.Open(folder)));
        Assert.Equal(fault, e.Fault);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        if (key is not null)
            Assert.Equal(key, e.Key);
    }

    [Theory]
    [InlineData("sliding_window", "4096", CheckpointFault.Unsupported)]
    [InlineData("quantization_config", "{}", CheckpointFault.Unsupported)]
    [InlineData("partial_rotary_factor", "0.5", CheckpointFault.Unsupported)]
    [InlineData("rope_scaling", """{"type":"ntk","factor":2}""", CheckpointFault.Unsupported)]
    [InlineData("num_hidden_layers", "60000000", CheckpointFault.Invalid)]
    [InlineData("num_hidden_layers", "-1", CheckpointFault.Invalid)]
    [InlineData("hidden_size", "\"32\"", CheckpointFault.Invalid)]
    [InlineData("vocab_size", "1e12", CheckpointFault.Invalid)]
    [InlineData("rms_norm_eps", "-1", CheckpointFault.Invalid)]
    [InlineData("head_dim", "7", CheckpointFault.Invalid)]
    public void A_switch_that_is_not_honoured_is_refused_by_name(string key, string value, CheckpointFault fault)
    {
        var e = Assert.Throws<CheckpointException>(() => LanguageModel.Create(With(key, value), 0));
        Assert.Equal(fault, e.Fault);
        Assert.StartsWith(key, e.Key, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sliding_window", "null")]
    [InlineData("torch_dtype", "\"bfloat16\"")]
    [InlineData("use_sliding_window", "false")]
    [InlineData("rope_scaling", """{"rope_type":"default"}""")]
    [InlineData("rope_parameters", """{"rope_type":"default","rope_theta":500000.0}""")]
    public void A_switch_that_changes_nothing_is_accepted(string key, string value) => LanguageModel.Create(With(key, value), 0).Dispose();

    [Theory]
    [InlineData("""{"rope_type":"linear","factor":2,"mystery":1}""", "rope_scaling.mystery")]
    [InlineData("""{"rope_type":"linear"}""", "rope_scaling.factor")]
    [InlineData("""{"rope_type":"longrope","factor":2,"short_factor":[1,1,1,1]}""", "rope_scaling.long_factor")]
    [InlineData("""{"rope_type":"longrope","factor":2,"short_factor":[1,1,1,1],"long_factor":[1,1]}""", "rope_scaling.long_factor")]
    [InlineData("""{"rope_type":"yarn","type":"linear","factor":2}""", "rope_scaling.type")]
    [InlineData("""{"full_attention":{"rope_type":"default"}}""", "rope_scaling.full_attention")]
    public void Wrong_rotary_scaling_is_refused_by_key(string scaling, string key) =>
        Assert.Equal(key, Assert.Throws<CheckpointException>(() => LanguageModel.Create(With("rope_scaling", scaling), 0)).Key);

    [Fact]
    public void The_families_that_are_offered_are_those_that_are_there() =>
        Assert.Equal(ModelDescription.SupportedFamilies.Order(), LanguageModel.Registry.Keys.Order());

    private static JsonElement With(string key, string value)
    {
        var config = new Dictionary<string, object?>
        {
            ["model_type"] = "llama",
            ["hidden_size"] = 32,
            ["intermediate_size"] = 24,
            ["num_hidden_layers"] = 1,
            ["num_attention_heads"] = 4,
            ["vocab_size"] = 20,
        };
        config[key] = JsonDocument.Parse(value).RootElement;
        return JsonSerializer.SerializeToElement(config);
    }
}
