using SaeService.Checkpoints;
using SaeService.TestSupport;
using TorchSharp;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>A checkpoint's model as nobody has trained it: by its family's rules, the same for a seed however it is loaded, and nothing of what was learnt.</summary>
public sealed class UntrainedTests
{
    private static ModelFolder Folder(string name) => ModelFolder.Open(SharedData.Require($"fixtures/transformers/{name}"));

    private static LanguageModel Fresh(ModelFolder folder, int seed = 5, LoadMode mode = LoadMode.Resident) =>
        LanguageModel.Load(folder, mode: mode, untrained: new(UntrainedWeights.Fresh, seed));

    private static Dictionary<string, float[]> Values(LanguageModel model) =>
        model.Parameters.ToDictionary(p => p.Name, p => p.Value.detach().reshape(-1).to(torch.ScalarType.Float32).data<float>().ToArray());

    /// <summary>What transformers' _init_weights of every family does: N(0, initializer_range), biases 0, norms at their identity; GPT-2's residual products smaller.</summary>
    [Theory]
    [InlineData("bert-default")]
    [InlineData("distilbert-default")]
    [InlineData("gemma-default")]
    [InlineData("gemma2-default")]
    [InlineData("gpt2-default")]
    [InlineData("gpt_neo-default")]
    [InlineData("gpt_neox-default")]
    [InlineData("llama-bf16")]
    [InlineData("llama-sharded")]
    [InlineData("mistral-default")]
    [InlineData("opt-default")]
    [InlineData("phi-default")]
    [InlineData("qwen2-default")]
    [InlineData("qwen3-default")]
    [InlineData("roberta-default")]
    public void Fresh_weights_are_drawn_as_the_family_draws_them(string fixture)
    {
        var folder = Folder(fixture);
        using var trained = LanguageModel.Load(folder);
        using var fresh = Fresh(folder);
        Assert.Equal(trained.Parameters.Select(p => (p.Name, string.Join(',', p.Value.shape))), fresh.Parameters.Select(p => (p.Name, string.Join(',', p.Value.shape))));
        var sum = new Dictionary<double, (double Squares, double Sum, int Count)>();
        foreach (var (name, value) in fresh.Parameters)
        {
            var values = value.reshape(-1).data<float>().ToArray();
            if (name.EndsWith(".bias", StringComparison.Ordinal))
                Assert.All(values, x => Assert.Equal(0, x));
            else if (value.dim() == 1)
                Assert.All(values, x => Assert.Equal(fixture.StartsWith("gemma", StringComparison.Ordinal) ? 0 : 1, x));
            else
            {
                var expected = fixture.StartsWith("gpt2", StringComparison.Ordinal) && name.EndsWith("c_proj.weight", StringComparison.Ordinal)
                    ? 0.02 / Math.Sqrt(2 * trained.Description.Layers) : 0.02;
                var (squares, total, count) = sum.GetValueOrDefault(expected);
                sum[expected] = (squares + values.Sum(x => (double)x * x), total + values.Sum(x => (double)x), count + values.Length);
            }
        }
        Assert.Equal(fixture.StartsWith("gpt2", StringComparison.Ordinal) ? 2 : 1, sum.Count);
        foreach (var (std, (squares, total, count)) in sum)
        {
            // Four deviations of the estimates.
            Assert.InRange(Math.Sqrt(squares / count) / std, 1 - 4 / Math.Sqrt(2.0 * count), 1 + 4 / Math.Sqrt(2.0 * count));
            Assert.InRange(total / count / std, -4 / Math.Sqrt(count), 4 / Math.Sqrt(count));
        }
    }

    [Theory]
    [InlineData("llama-bf16")]
    [InlineData("gpt2-default")]
    [InlineData("bert-default")]
    public void The_seed_decides_and_neither_how_the_model_is_loaded_nor_what_it_was(string fixture)
    {
        var folder = Folder(fixture);
        using var one = Fresh(folder);
        using var lean = Fresh(folder, mode: LoadMode.LayerByLayer);
        using var other = Fresh(folder, seed: 6);
        long[,] ids = { { 3, 1, 4, 1, 5, 9, 2, 6 } };
        var expected = Recording.Of(one, ids);
        Assert.All(Recording.Of(lean, ids).Values, got => Assert.Equal(expected.Values[got.Key].Values, got.Value.Values));
        Assert.NotEqual(Values(one).First(p => p.Key.EndsWith("weight", StringComparison.Ordinal)).Value, Values(other).First().Value);
        // As one that is made to be trained.
        using var created = LanguageModel.Create(System.Text.Json.JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.Path, "config.json"))).RootElement, 5);
        var made = Values(created);
        Assert.All(Values(one), p => Assert.Equal(made[p.Key], p.Value));
    }

    [Theory]
    [InlineData("llama-default")]
    [InlineData("opt-default")]
    [InlineData("distilbert-default")]
    public void Permuted_blocks_keep_every_value_and_no_order_under_the_trained_embeddings(string fixture)
    {
        var folder = Folder(fixture);
        using var trained = LanguageModel.Load(folder);
        using var permuted = LanguageModel.Load(folder, untrained: new(UntrainedWeights.PermutedBlocks, 5));
        var before = Values(trained);
        var (inside, outside) = (0, 0);
        foreach (var (name, after) in Values(permuted))
        {
            if (before[name].SequenceEqual(after))
            {
                outside++;
                Assert.DoesNotMatch(@"\.(layer|layers|h)\.\d+\.", name);
            }
            else
            {
                inside++;
                Assert.Matches(@"\.(layer|layers|h)\.\d+\.", name);
                Assert.Equal(before[name].Order(), after.Order());
                // Few stay where they were.
                Assert.True(before[name].Zip(after).Count(p => p.First == p.Second) < 2 + before[name].Length / 4);
            }
        }
        Assert.True(inside > outside && outside > 0);
        // The file's map is not written through.
        using var again = LanguageModel.Load(folder);
        Assert.All(Values(again), p => Assert.Equal(before[p.Key], p.Value));
    }

    [Fact]
    public void Positions_of_DistilBERT_are_sinusoids_where_its_config_says_so()
    {
        using var variant = new Variant("distilbert-default").With("sinusoidal_pos_embds", true);
        using var fresh = Fresh(variant.Folder());
        var (_, table) = fresh.Parameters.Single(p => p.Name.EndsWith("position_embeddings.weight", StringComparison.Ordinal));
        var width = table.shape[1];
        foreach (var (t, j) in new[] { (0, 0), (0, 1), (7, 4), (7, 5), (31, 30) })
        {
            var angle = t / Math.Pow(10000, 2.0 * (j / 2) / width);
            Assert.Equal(j % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle), table[t, j].item<float>(), 1e-6);
        }
    }
}
