using System.Text.Json;
using TorchSharp;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Vectors captured in batches, against a forward pass over each sequence by itself.</summary>
public sealed class ActivationCaptureTests
{
    private static readonly JsonElement Config = JsonDocument.Parse("""
        {"model_type":"llama","hidden_size":16,"intermediate_size":24,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,
         "vocab_size":20,"max_position_embeddings":12}
        """).RootElement;

    private static readonly int[][] Sequences = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 5, 8, 9, 7], [9], [3, 2, 3, 8, 4]];

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(1000)]
    public void Batches_give_what_each_sequence_gives_alone(int maxTokens)
    {
        using var model = LanguageModel.Create(Config, seed: 4);
        (HookPoint, int)[] places = [(HookPoint.Embed, -1), (HookPoint.ResidPost, 0), (HookPoint.MlpAct, 1), (HookPoint.AttnOut, 1)];
        var lengths = Sequences.Select(s => s.Length).ToArray();
        var order = ActivationCapture.Order(lengths);
        Assert.Equal([2, 0, 4, 1, 3], order);
        var capture = new ActivationCapture(model, places);
        var got = new Dictionary<((HookPoint, int) Place, int Sequence), float[]>();
        var batches = ActivationCapture.Batches(lengths, order, maxTokens);
        Assert.Equal(order, batches.SelectMany(b => b));
        foreach (var batch in batches)
        {
            Assert.True(batch.Length == 1 || batch.Length * batch.Max(s => lengths[s]) <= maxTokens);
            capture.Run([.. batch.Select(s => new ReadOnlyMemory<int>(Sequences[s]))], (place, i, rows) => got.Add((place, batch[i]), rows.ToArray()));
        }
        Assert.Equal(places.Length * Sequences.Length, got.Count);
        for (var s = 0; s < Sequences.Length; s++)
        {
            var ids = new long[1, lengths[s]];
            for (var t = 0; t < lengths[s]; t++)
                ids[0, t] = Sequences[s][t];
            var alone = Recording.Of(model, ids);
            foreach (var (point, block) in places)
            {
                Assert.Equal(alone[point, block].Length, got[((point, block), s)].Length);
                Assert.All(alone[point, block].Zip(got[((point, block), s)]), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
            }
        }
    }

    [Fact]
    public void Nothing_is_computed_behind_the_deepest_place()
    {
        using var model = LanguageModel.Create(Config, seed: 4);
        var deepest = new List<HookPoint>();
        // Weights of the last block that are not numbers would show in whatever is computed from them.
        using (torch.no_grad())
            model.Parameters.First(p => p.Name == "model.layers.2.mlp.up_proj.weight").Value.fill_(double.NaN);
        new ActivationCapture(model, [(HookPoint.ResidPost, 1)]).Run([Sequences[0]], (_, _, rows) => Assert.DoesNotContain(float.NaN, rows.ToArray()));
        new ActivationCapture(model, [(HookPoint.ResidPost, 1), (HookPoint.FinalNorm, -1)]).Run([Sequences[0]], (place, _, rows) =>
        {
            deepest.Add(place.Point);
            Assert.Equal(place.Point == HookPoint.FinalNorm, float.IsNaN(rows[0]));
        });
        Assert.Equal([HookPoint.ResidPost, HookPoint.FinalNorm], deepest);
    }
}
