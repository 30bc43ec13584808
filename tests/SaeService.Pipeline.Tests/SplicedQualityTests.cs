using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Corpora;
using SaeService.Transformers;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Pipeline.Tests;

/// <summary>The loss with an autoencoder in place, against whole passes of the model with a hook that replaces what is to be replaced.</summary>
public sealed class SplicedQualityTests : IDisposable
{
    private const int Dim = 16, Bos = 1;

    private static readonly JsonElement Config = JsonDocument.Parse("""
        {"model_type":"llama","hidden_size":16,"intermediate_size":24,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,
         "vocab_size":140,"max_position_embeddings":32,"initializer_range":0.5}
        """).RootElement;

    private readonly LanguageModel _model = LanguageModel.Create(Config, seed: 4);
    private readonly PackedCorpus _corpus = Corpus();
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    /// <summary>Forty documents of one sentence each, a token a letter, none alike.</summary>
    private static PackedCorpus Corpus()
    {
        var random = new Random(3);
        var text = string.Concat(Enumerable.Range(0, 40).Select(d =>
        {
            var words = Enumerable.Range(0, 4 + d % 3).Select(_ => string.Concat(Enumerable.Range(0, 3).Select(_ => (char)('a' + random.Next(20))))).ToArray();
            return $"# newdoc id = d{d}\n# sent_id = s{d}\n# text = {string.Join(' ', words)}\n"
                + string.Concat(words.Select((w, i) => $"{i + 1}\t{w}\t_\t{(i % 2 == 0 ? "NOUN" : "VERB")}\t_\t_\t{i}\tdep\t_\t_\n")) + "\n";
        }));
        var file = Path.Combine(Directory.CreateTempSubdirectory().FullName, "x.conllu");
        File.WriteAllText(file, text);
        return CorpusPacker.Pack(DatasetFolder.Open(file).Read(null, new ReadSettings { Tasks = ["pos"] }), line =>
        {
            (int, int)[] spans = [.. Enumerable.Range(0, line.Length).Where(i => line[i] != ' ').Select(i => (i, i + 1))];
            return ([.. spans.Select(s => (int)line[s.Item1])], spans);
        }, new PackingSettings { ContextLength = 32, PrefixIds = [Bos], SpecialIds = new HashSet<int> { Bos }, Tasks = ["pos"], Seed = 1 });
    }

    private ActivationFile Capture((HookPoint, int) place)
    {
        var path = Path.Combine(_folder, $"{place}.f32");
        using (var writer = new ActivationWriter(path, _corpus.TokenIds.Length, Dim))
        {
            for (var c = 0; c < _corpus.Contexts; c++)
                new ActivationCapture(_model, [place]).Run([new ReadOnlyMemory<int>(_corpus.TokensOf(c))],
                    (_, _, rows) => writer.Write(_corpus.ContextStart[c], rows));
            writer.Complete();
        }
        return ActivationFile.Open(path, Dim);
    }

    private (Column<int> Train, Column<int> Test) Rows()
    {
        var filters = NormFilters.From(_corpus, new Dictionary<int, Column<float>> { [0] = [.. Enumerable.Repeat(1f, _corpus.TokenIds.Length)] });
        // One token of the test documents is an attention sink: it is not replaced, and nothing predicted from it counts.
        return (filters.Tokens(_corpus, 0, test: false), [.. filters.Tokens(_corpus, 0, test: true).Where((_, i) => i != 7)]);
    }

    [Theory]
    [InlineData(HookPoint.Embed, -1)]
    [InlineData(HookPoint.ResidPost, 1)]
    [InlineData(HookPoint.MlpOut, 1)]
    public void An_autoencoder_that_changes_nothing_loses_nothing_and_one_of_zeros_recovers_nothing(HookPoint point, int block)
    {
        using var activations = Capture((point, block));
        var (train, test) = Rows();
        var same = SplicedQuality.Measure(_model, (point, block), _corpus, activations, train, test, (x, _, into) => x.CopyTo(into), 256, 2)!;
        Assert.Equal(0, same.DeltaCe, 2e-6);
        Assert.Equal(0, same.Kl, 2e-6);
        Assert.Equal(1, same.CeLossRecovered!.Value, 1e-4);
        Assert.Equal(1, same.CeLossRecoveredMean!.Value, 1e-4);
        Assert.True(same.CeZero != same.CeClean && same.KlZero > 1e-3 && same.KlMean > 1e-3);

        var nothing = SplicedQuality.Measure(_model, (point, block), _corpus, activations, train, test, (_, _, into) => into.Clear(), 256, 2)!;
        Assert.Equal(0, nothing.CeLossRecovered!.Value, 1e-6);
        Assert.Equal((nothing.CeZero, nothing.KlZero), (nothing.CeSae, nothing.Kl));
    }

    [Fact]
    public void Every_number_is_that_of_whole_passes_with_the_vectors_replaced()
    {
        var place = (HookPoint.ResidPost, 0);
        using var activations = Capture(place);
        var (train, test) = Rows();
        static float Reconstructed(float x) => 0.5f * x + 0.1f;
        var measured = SplicedQuality.Measure(_model, place, _corpus, activations, train, test, (x, _, into) =>
        {
            for (var i = 0; i < x.Length; i++)
                into[i] = Reconstructed(x[i]);
        }, 256, 2)!;

        var all = new float[_corpus.TokenIds.Length * Dim];
        activations.Read(0, all);
        var mean = Enumerable.Range(0, Dim).Select(j => (float)train.Average(t => (double)all[t * Dim + j])).ToArray();
        var clean = Expected(test, (_, x) => x);
        var sae = Expected(test, (_, x) => Reconstructed(x));
        var zero = Expected(test, (_, _) => 0);
        var averaged = Expected(test, (j, _) => mean[j]);
        Assert.Equal(clean.Tokens, measured.Tokens);
        Assert.True(measured.Tokens > 50);
        foreach (var (expected, got) in new[]
        {
            (clean.Entropy, measured.CeClean), (sae.Entropy, measured.CeSae), (zero.Entropy, measured.CeZero), (averaged.Entropy, measured.CeMean),
            (sae.Entropy - clean.Entropy, measured.DeltaCe), (sae.Kl, measured.Kl), (zero.Kl, measured.KlZero), (averaged.Kl, measured.KlMean),
            ((zero.Entropy - sae.Entropy) / (zero.Entropy - clean.Entropy), measured.CeLossRecovered!.Value),
            ((averaged.Entropy - sae.Entropy) / (averaged.Entropy - clean.Entropy), measured.CeLossRecoveredMean!.Value),
        })
            Assert.Equal(expected, got, 2e-4);
    }

    /// <summary>Loss and KL a prediction of whole passes, each context by itself.</summary>
    private (double Entropy, double Kl, long Tokens) Expected(Column<int> replaced, Func<int, float, float> value)
    {
        using var noGrad = no_grad();
        var (entropy, kl, n) = (0.0, 0.0, 0L);
        for (var c = 0; c < _corpus.Contexts; c++)
        {
            using var scope = NewDisposeScope();
            var (start, length) = (_corpus.ContextStart[c], _corpus.ContextLength(c));
            int[] here = [.. replaced.Where(t => t >= start && t < start + length)];
            long[] at = [.. here.Where(t => t + 1 < start + length).Select(t => (long)(t - start))];
            if (at.Length == 0)
                continue;
            var ids = tensor(_corpus.TokensOf(c).Select(i => (long)i).ToArray()).unsqueeze(0);
            var plain = _model.Forward(ids, null, null, logits: true)![0].index_select(0, tensor(at));
            var spliced = _model.Forward(ids, null, (p, l, x) =>
            {
                if ((p, l) != (HookPoint.ResidPost, 0))
                    return null;
                var changed = x.clone();
                foreach (var t in here)
                    for (var j = 0; j < Dim; j++)
                        changed[0, t - start, j] = value(j, x[0, t - start, j].item<float>());
                return changed;
            }, logits: true)![0].index_select(0, tensor(at));
            var targets = ids[0].index_select(0, tensor(at.Select(t => t + 1).ToArray()));
            entropy += nn.functional.cross_entropy(spliced, targets, reduction: nn.Reduction.Sum).item<float>();
            kl += nn.functional.kl_div(nn.functional.log_softmax(spliced, -1), nn.functional.softmax(plain, -1), log_target: false,
                reduction: nn.Reduction.Sum).item<float>();
            n += at.Length;
        }
        return (entropy / n, kl / n, n);
    }

    public void Dispose() => _model.Dispose();
}
