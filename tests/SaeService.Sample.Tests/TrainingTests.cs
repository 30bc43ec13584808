using System.Text.Json;
using SaeService.Sample.Training;
using SaeService.TestSupport;
using SaeService.Transformers;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Sample.Tests;

public sealed class TrainingTests
{
    private const string TinyConfig = """
        {"model_type":"llama","vocab_size":128,"hidden_size":16,"intermediate_size":32,"num_hidden_layers":2,"num_attention_heads":2,
         "num_key_value_heads":2,"max_position_embeddings":64,"hidden_act":"silu","rms_norm_eps":1e-5,"tie_word_embeddings":true}
        """;

    [Fact]
    public void AdamW_steps_like_the_library()
    {
        using var scope = NewDisposeScope();
        var start = randn(5, 3, generator: new Generator(4));
        var ours = start.clone().requires_grad_(true);
        var theirs = new TorchSharp.Modules.Parameter(start.clone(), requires_grad: true);
        using var step = new AdamW([ours], weightDecay: 0.1);
        using var library = optim.AdamW([theirs], lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1);
        for (var i = 0; i < 20; i++)
        {
            library.zero_grad();
            foreach (var parameter in new Tensor[] { ours, theirs })
                (parameter.pow(4).sum() + (parameter * i).sum()).backward();
            step.Step(0.01);
            Uncollected.Run(() => library.step());
        }
        Assert.True((ours - theirs).abs().max().item<float>() < 1e-6);
    }

    [Fact]
    public void Gradients_are_clipped_by_their_joint_norm()
    {
        using var scope = NewDisposeScope();
        var a = zeros(2).requires_grad_(true);
        var b = zeros(1).requires_grad_(true);
        using var optimizer = new AdamW([a, b], 0);
        (a * tensor([3f, 0f]) + b * 4f / 2).sum().backward(); // gradients (3, 0) and 4: norm 5
        Assert.Equal(5, optimizer.ClipGradients(1), 5);
        Assert.Equal(0.6, a.grad![0].item<float>(), 5);
        Assert.Equal(0.8, b.grad![0].item<float>(), 5);
        Assert.Equal(1, optimizer.ClipGradients(2), 4);
    }

    [Fact]
    public void Training_lowers_the_loss_and_the_same_seed_gives_the_same_weights()
    {
        var (first, losses) = Train();
        var (second, _) = Train();
        Assert.Equal(first, second);
        Assert.True(losses[^1] < losses[0] - 1.5, $"{losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void Rows_begin_with_a_document_and_put_BOS_before_each()
    {
        var rows = new TrainingRows(text => [.. text.Select(c => (int)c)], bos: 1, Bundle.TrainingSeed, length: 3000);
        var ids = rows.Next(2);
        var expected = "";
        for (var d = 0; expected.Length < 3000; d++)
            expected += "\u0001" + Grammar.SampleCorpus.Document(Bundle.TrainingSeed, d).Text;
        Assert.Equal(expected[..3000], string.Concat(ids.Take(3000).Select(i => (char)i)));
        Assert.Equal(1, ids[3000]);
        Assert.Equal(6000, rows.TokensSeen);
    }

    private static (float[] Weights, List<double> Losses) Train()
    {
        using var config = JsonDocument.Parse(TinyConfig);
        using var model = LanguageModel.Create(config.RootElement, seed: 3);
        var rows = new TrainingRows(text => [.. text.Select(c => Math.Min((int)c, 127))], bos: 1, Bundle.TrainingSeed, length: 65);
        var losses = new List<double>();
        ModelTrainer.Train(
            ids => model.Forward(ids, mask: null, hook: null, logits: true)!, [.. model.Parameters.Select(p => p.Value)], rows,
            new TrainingSettings(Steps: 100, Batch: 8, ContextLength: 64, LearningRate: 1e-2, WarmUp: 10), (_, loss, _) => losses.Add(loss));
        return ([.. model.Parameters.SelectMany(p => p.Value.data<float>().ToArray())], losses);
    }
}
