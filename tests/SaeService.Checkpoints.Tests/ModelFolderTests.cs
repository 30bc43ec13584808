using System.Security.Cryptography;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Checkpoints.Tests;

public sealed class ModelFolderTests
{
    [Fact]
    public void A_folder_is_described_from_its_config_and_headers()
    {
        var folder = ModelFolder.Open(SharedData.Require("data/models/stories260K"));
        Assert.Equal(new ModelDescription("llama", "causal", 5, 64, 512, 512, 260_032), folder.Description);
        Assert.Contains(folder.Files, f => f == new ModelFile("model.safetensors", 1_044_984));
        var hashes = folder.Hashes();
        Assert.Equal("7fe20d74ed0c9325", hashes["model.safetensors"][..16]);
        Assert.Equal(["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"], hashes.Keys);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder.Path, "config.json")))), hashes["config.json"]);
    }

    [Fact]
    public void Shards_are_one_set_of_weights_and_all_are_hashed()
    {
        var folder = ModelFolder.Open(SharedData.Require("data/models/stories260K-variants/sharded"));
        var single = ModelFolder.Open(SharedData.Require("data/models/stories260K"));
        Assert.Equal(single.Description, folder.Description);
        Assert.Equal(4, folder.Hashes().Keys.Count(k => k.StartsWith("model", StringComparison.Ordinal) || k == "config.json"));
        using var shards = folder.OpenWeights();
        using var whole = single.OpenWeights();
        Assert.Equal(2, shards.Files.Count);
        Assert.Equal(whole.Names.Order(), shards.Names.Order());
        foreach (var name in whole.Names)
            Assert.True(whole.FileOf(name).Bytes(name).SequenceEqual(shards.FileOf(name).Bytes(name)), name);
    }

    /// <summary>The fixtures' configs were written by transformers' own config classes: every family's names for the same sizes.</summary>
    [Theory]
    [InlineData("gpt2", "causal")]
    [InlineData("gpt_neox", "causal")]
    [InlineData("gpt_neo", "causal")]
    [InlineData("llama", "causal")]
    [InlineData("mistral", "causal")]
    [InlineData("qwen2", "causal")]
    [InlineData("qwen3", "causal")]
    [InlineData("gemma", "causal")]
    [InlineData("gemma2", "causal")]
    [InlineData("phi", "causal")]
    [InlineData("opt", "causal")]
    [InlineData("bert", "masked")]
    [InlineData("distilbert", "masked")]
    [InlineData("roberta", "masked")]
    public void Every_family_is_described(string family, string type)
    {
        var folder = SharedData.Require($"fixtures/transformers/{family}-default");
        var description = ModelDescription.Of(ModelConfig.Read(Path.Combine(folder, "config.json")), 7);
        using var expected = SafetensorsFile.Open(Path.Combine(folder, "expected.safetensors"));
        var stream = expected.Tensors["resid_post"].Shape; // [L, B, T, d]
        Assert.Equal((family, type, stream[0], stream[3]), (description.Family, description.Type, description.Layers, description.DModel));
        Assert.Equal(expected.Tensors["logits"].Shape[2], description.VocabularySize);
        Assert.InRange(description.ContextLength, stream[2], 4096);
        Assert.Equal(7, description.Parameters);
    }

    [Fact]
    public void A_cache_of_links_is_read()
    {
        using var cache = new TemporaryFolder();
        foreach (var file in Directory.GetFiles(SharedData.Require("data/models/stories260K")))
            File.CreateSymbolicLink(cache.File(Path.GetFileName(file)), file);
        Assert.Contains(ModelFolder.Open(cache.Path).Files, f => f == new ModelFile("model.safetensors", 1_044_984));
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"..\\x.safetensors"}}""", CheckpointFault.OutsideFolder)]
    [InlineData("""{"weight_map":{"a":"sub/x.safetensors"}}""", CheckpointFault.OutsideFolder)]
    [InlineData("""{"weight_map":{"a":".."}}""", CheckpointFault.OutsideFolder)]
    [InlineData("""{"weight_map":{"a":"weights.bin"}}""", CheckpointFault.Unsupported)]
    [InlineData("""{"weight_map":{"a":5}}""", CheckpointFault.Invalid)]
    [InlineData("""{"weight_map":{}}""", CheckpointFault.Invalid)]
    [InlineData("""{"weight_map":[]}""", CheckpointFault.Invalid)]
    [InlineData("""{"weight_map":{"a":"one.safetensors","c":"one.safetensors"}}""", CheckpointFault.Invalid)]
    [InlineData("""{"weight_map":{"a":"one.safetensors"}}""", CheckpointFault.Invalid)]
    [InlineData("""{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}""", CheckpointFault.Invalid)]
    [InlineData("not json", CheckpointFault.Invalid)]
    public void A_wrong_index_is_refused(string index, CheckpointFault fault)
    {
        using var folder = new TemporaryFolder();
        SafetensorsWriter.Write(folder.File("one.safetensors"), [Scalar("a"), Scalar("b")]);
        SafetensorsWriter.Write(folder.File("two.safetensors"), [Scalar("b")]);
        File.WriteAllText(folder.File(WeightSet.IndexFile), index);
        Assert.Equal(fault, Assert.Throws<CheckpointException>(() => WeightSet.Open(folder.Path)).Fault);
    }

    [Theory]
    [InlineData("{}", "model_type")]
    [InlineData("""{"model_type":5}""", "model_type")]
    [InlineData("""{"model_type":"llama","num_hidden_layers":2.5}""", "num_hidden_layers")]
    [InlineData("""{"model_type":"llama","num_hidden_layers":2,"hidden_size":0}""", "hidden_size")]
    [InlineData("""{"model_type":"llama","num_hidden_layers":2,"hidden_size":4,"vocab_size":null}""", "vocab_size")]
    public void A_config_without_sizes_is_refused_by_key(string json, string key)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), json);
        SafetensorsWriter.Write(folder.File(WeightSet.SingleFile), [Scalar("a")]);
        var e = Assert.Throws<CheckpointException>(() => ModelFolder.Open(folder.Path));
        Assert.Equal((CheckpointFault.Invalid, key, folder.File("config.json")), (e.Fault, e.Key, e.File));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_not_found()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(CheckpointFault.NotFound, Assert.Throws<CheckpointException>(() => ModelFolder.Open(folder.File("none"))).Fault);
        Assert.Equal(CheckpointFault.NotFound, Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Path)).Fault);
    }

    /// <summary>Bytes changed, dropped or doubled in the JSON files of a real model: it opens or is refused, and nothing else is thrown.</summary>
    [Theory]
    [InlineData("config.json", 1500)]
    [InlineData("tokenizer.json", 400)]
    public void Fuzzed_json_is_read_or_refused(string file, int rounds)
    {
        using var folder = new TemporaryFolder();
        var source = SharedData.Require("data/models/stories260K");
        foreach (var name in new[] { "config.json", "tokenizer.json", "model.safetensors" })
            File.Copy(Path.Combine(source, name), folder.File(name));
        var good = File.ReadAllBytes(folder.File(file));
        var random = new Random(11);
        var refused = 0;
        for (var round = 0; round < rounds; round++)
        {
            var bytes = good.ToList();
            // The interesting parts of a tokenizer are at its ends; the middle is vocabulary.
            var at = random.Next(2) == 0 ? random.Next(Math.Min(1500, bytes.Count)) : bytes.Count - 1 - random.Next(Math.Min(1500, bytes.Count));
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveAt(at);
                    break;
                case 2:
                    bytes.InsertRange(at, "\\ud800"u8.ToArray());
                    break;
                default:
                    bytes[at] = (byte)"0123456789-.e\"{}[],:"[random.Next(20)];
                    break;
            }
            File.WriteAllBytes(folder.File(file), [.. bytes]);
            try
            {
                ModelFolder.Open(folder.Path);
                Tokenizer.Load(folder.Path).Encode("Once upon a time \U0001F600", addSpecialTokens: true);
            }
            catch (CheckpointException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, rounds / 4, rounds);
    }

    private static TensorSource Scalar(string name) => TensorSource.Of<float>(name, DType.F32, [], new float[1]);
}
