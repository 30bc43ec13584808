using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.TestSupport;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Hooks, memory, training and saving, on a model of our own making.</summary>
public sealed class ForwardTests
{
    private static readonly JsonElement Config = JsonDocument.Parse("""
        {"model_type":"llama","hidden_size":16,"intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
         "vocab_size":20,"max_position_embeddings":12,"tie_word_embeddings":true,"attention_bias":true,"mlp_bias":true,"rms_norm_eps":1e-5}
        """).RootElement;

    [Fact]
    public void The_hook_sees_every_point_once_in_order()
    {
        using var model = LanguageModel.Create(Config, seed: 1);
        using var scope = torch.NewDisposeScope();
        var seen = new List<(HookPoint, int)>();
        model.Forward(Ids(), null, (point, block, _) => { seen.Add((point, block)); return null; }, logits: true, attentionPattern: true);
        HookPoint[] inBlock =
        [
            HookPoint.ResidPre, HookPoint.Ln1Out, HookPoint.AttnPattern, HookPoint.AttnZ, HookPoint.AttnOut, HookPoint.ResidMid, HookPoint.Ln2Out, HookPoint.MlpAct,
            HookPoint.MlpOut, HookPoint.ResidPost,
        ];
        Assert.Equal([(HookPoint.Embed, -1), .. inBlock.Select(p => (p, 0)), .. inBlock.Select(p => (p, 1)), (HookPoint.FinalNorm, -1), (HookPoint.Logits, -1)], seen);
    }

    [Fact]
    public void The_pass_ends_where_it_is_told()
    {
        using var model = LanguageModel.Create(Config, seed: 1);
        using var scope = torch.NewDisposeScope();
        foreach (var (stop, logits, last) in new (int?, bool, (HookPoint, int))[]
            { (-1, true, (HookPoint.Embed, -1)), (0, true, (HookPoint.ResidPost, 0)), (null, false, (HookPoint.FinalNorm, -1)) })
        {
            (HookPoint, int) seen = default;
            Assert.Null(model.Forward(Ids(), null, (point, block, _) => { seen = (point, block); return null; }, logits, stop));
            Assert.Equal(last, seen);
        }
    }

    /// <summary>Replacing the stream after block 0 by another text's gives the other text's logits: everything later depends on it alone.</summary>
    [Fact]
    public void A_replacement_is_what_the_rest_of_the_pass_sees()
    {
        using var model = LanguageModel.Create(Config, seed: 1);
        using var scope = torch.NewDisposeScope();
        torch.Tensor? kept = null;
        var other = torch.tensor(new long[,] { { 9, 8, 7, 6, 5 } });
        var expected = model.Forward(other, null, (p, b, v) => { if ((p, b) == (HookPoint.ResidPost, 0)) kept = v.clone().DetachFromDisposeScope(); return null; }, true)!;
        var patched = model.Forward(Ids(), null, (p, b, _) => (p, b) == (HookPoint.ResidPost, 0) ? kept : null, true)!;
        var plain = model.Forward(Ids(), null, null, true)!;
        Assert.True(torch.allclose(expected, patched));
        Assert.False(torch.allclose(expected, plain, 1e-3, 1e-3));
        // The replacement is still ours.
        Assert.Equal(5, kept!.shape[1]);
        kept.Dispose();
        Assert.Throws<ArgumentException>(() => model.Forward(Ids(), null, (_, _, v) => v[torch.TensorIndex.Ellipsis, ..3], true));
    }

    [Fact]
    public void Nothing_of_a_pass_is_left_behind()
    {
        using var model = LanguageModel.Create(Config, seed: 1);
        Pass();
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        for (var i = 0; i < 50; i++)
            Pass();
        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);

        void Pass()
        {
            using var noGrad = torch.no_grad();
            using var ids = Ids();
            using var mask = torch.ones_like(ids);
            using var logits = model.Forward(ids, mask, (p, _, v) => p == HookPoint.MlpOut ? v * 0.5 : null, logits: true, attentionPattern: true);
            model.Forward(ids, null, null, logits: false, stopAfterBlock: 0);
        }
    }

    /// <summary>Gradients reach every parameter, agree with a finite difference, and descending them learns a sequence by heart.</summary>
    [Fact]
    public void The_model_learns()
    {
        using var model = LanguageModel.Create(Config, seed: 3);
        var parameters = model.Parameters.ToArray();
        var first = Loss(backward: true);
        Assert.All(parameters, p => Assert.NotNull(p.Value.grad));

        var norm = model.FinalNormGain!;
        using (var scope = torch.NewDisposeScope())
        {
            var gradient = norm.grad![0].item<float>();
            double Moved(float by)
            {
                using var inner = torch.NewDisposeScope();
                using var noGrad = torch.no_grad();
                norm[0] += by;
                var loss = Loss(backward: false);
                norm[0] -= by;
                return loss;
            }
            Assert.Equal(gradient, (Moved(1e-2f) - Moved(-1e-2f)) / 2e-2, 1e-3);
        }

        using var optimizer = torch.optim.Adam(parameters.Select(p => (Parameter)p.Value), lr: 1e-2);
        for (var step = 0; step < 60; step++)
        {
            optimizer.zero_grad();
            Loss(backward: true);
            using var scope = torch.NewDisposeScope();
            Uncollected.Run(() => optimizer.step());
        }
        var last = Loss(backward: false);
        Assert.InRange(first, 2.5, 3.5); // ln 20 = 3.0
        Assert.True(last < 0.5, $"{first} to {last}");

        double Loss(bool backward)
        {
            using var scope = torch.NewDisposeScope();
            var ids = Ids();
            var logits = model.Forward(ids[.., ..4], null, null, logits: true)!;
            var loss = torch.nn.functional.cross_entropy(logits.view(-1, 20), ids[.., 1..].flatten());
            if (backward)
                loss.backward();
            return loss.item<float>();
        }
    }

    [Fact]
    public void A_saved_model_loads_as_the_same_and_depends_on_the_seed_alone()
    {
        using var folder = new TemporaryFolder();
        using var model = LanguageModel.Create(Config, seed: 3);
        File.WriteAllText(folder.File("config.json"), Config.GetRawText());
        model.Save(folder.File("model.safetensors"));
        var opened = ModelFolder.Open(folder.Path);
        Assert.Equal(model.Description, opened.Description);
        using var loaded = LanguageModel.Load(opened);
        using var again = LanguageModel.Create(Config, seed: 3);
        using var other = LanguageModel.Create(Config, seed: 4);
        using var scope = torch.NewDisposeScope();
        var logits = model.Forward(Ids(), null, null, true)!;
        Assert.True(logits.equal(loaded.Forward(Ids(), null, null, true)!).all().item<bool>());
        Assert.True(logits.equal(again.Forward(Ids(), null, null, true)!).all().item<bool>());
        Assert.False(torch.allclose(logits, other.Forward(Ids(), null, null, true)!, 1e-3, 1e-3));
        Assert.All(loaded.Parameters, p => Assert.False(p.Value.requires_grad));
        again.Save(folder.File("again.safetensors"));
        Assert.Equal(File.ReadAllBytes(folder.File("model.safetensors")), File.ReadAllBytes(folder.File("again.safetensors")));
    }

    [Fact]
    public void Inputs_that_the_model_has_no_place_for_are_refused()
    {
        using var model = LanguageModel.Create(Config, seed: 1);
        using var scope = torch.NewDisposeScope();
        void Refused(string words, torch.Tensor ids, torch.Tensor? mask = null, int? stop = null) =>
            Assert.Contains(words, Assert.Throws<ArgumentException>(() => model.Forward(ids, mask, null, true, stop)).Message, StringComparison.Ordinal);
        Refused("outside the vocabulary", torch.tensor(new long[,] { { 20 } }));
        Refused("outside the vocabulary", torch.tensor(new long[,] { { -1 } }));
        Refused("context of 12", torch.zeros(1, 13, torch.ScalarType.Int64));
        Refused("int64 [B, T]", torch.zeros(3, torch.ScalarType.Int64));
        Refused("int64 [B, T]", torch.zeros(1, 3));
        Refused("mask", Ids(), torch.ones(1, 4));
        Refused("no block 2", Ids(), null, 2);
    }

    private static torch.Tensor Ids() => torch.tensor(new long[,] { { 3, 1, 4, 1, 5 } });
}
