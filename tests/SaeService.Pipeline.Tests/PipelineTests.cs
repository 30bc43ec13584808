using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Pipeline.Stages;
using Xunit;

namespace SaeService.Pipeline.Tests;

/// <summary>What lies between the libraries: filters, pooling, feature cards, hook names.</summary>
public sealed class PipelineTests
{
    /// <summary>Twelve documents "alpha beta gamma", a token a letter pair, so that every word has two or three pieces.</summary>
    private static PackedCorpus Corpus()
    {
        var text = string.Concat(Enumerable.Range(0, 12).Select(d =>
            $"# newdoc id = d{d}\n# sent_id = s{d}\n# text = alpha beta gamma\n1\talpha\t_\tNOUN\t_\t_\t0\troot\t_\t_\n2\tbeta\t_\tVERB\t_\t_\t1\tdep\t_\t_\n3\tgamma\t_\tNOUN\t_\t_\t1\tdep\t_\t_\n\n"));
        var file = Path.Combine(Directory.CreateTempSubdirectory().FullName, "x.conllu");
        File.WriteAllText(file, text);
        return CorpusPacker.Pack(DatasetFolder.Open(file).Read(null, new ReadSettings { Tasks = ["pos"] }), line =>
        {
            var spans = line.Split(' ').SelectMany((word, i) =>
            {
                var at = line.Split(' ').Take(i).Sum(w => w.Length + 1);
                return word.Chunk(2).Select((pair, j) => (at + 2 * j, at + 2 * j + pair.Length));
            }).ToArray();
            return ([.. spans.Select(s => 10 + line[s.Item1])], spans);
        }, new PackingSettings { ContextLength = 32, PrefixIds = [1], SpecialIds = new HashSet<int> { 1 }, Tasks = ["pos"], Seed = 1 });
    }

    [Fact]
    public void A_vector_ten_times_the_median_leaves_the_word_out_at_every_layer_and_its_token_at_one()
    {
        var corpus = Corpus();
        float[] quiet = [.. Enumerable.Repeat(1f, corpus.TokenIds.Length)], sink = [.. quiet];
        sink[corpus.LastToken[4]] = 10.5f;
        sink[corpus.LastToken[7]] = 9.5f;
        var path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "filters");
        NormFilters.From(corpus, new Dictionary<int, Column<float>> { [0] = quiet, [3] = sink }).Save(path);
        var filters = NormFilters.Load(path);

        Assert.Equal(Enumerable.Range(0, corpus.Words).Where(w => w != 4), Enumerable.Range(0, corpus.Words).Where(filters.KeepsWord));
        Assert.Equal(0, filters.WordsDropped["0"]);
        Assert.Equal(1, filters.WordsDropped["3"]);
        Assert.Equal(new Dictionary<int, double> { [0] = 10, [3] = 10 }, NormFilters.LimitsOf(path));
        int[] all = [.. filters.Tokens(corpus, 0, test: false), .. filters.Tokens(corpus, 0, test: true)];
        Assert.Equal(corpus.SpecialOrExcluded.Count(x => !x), all.Distinct().Count());
        Assert.DoesNotContain(corpus.LastToken[4], filters.Tokens(corpus, 3, test: false).Concat(filters.Tokens(corpus, 3, test: true)));
    }

    [Fact]
    public void Training_never_sees_a_token_of_a_test_document()
    {
        var corpus = Corpus();
        var filters = NormFilters.From(corpus, new Dictionary<int, Column<float>> { [0] = [.. Enumerable.Repeat(1f, corpus.TokenIds.Length)] });
        var testWords = Enumerable.Range(0, corpus.Words).Where(w => corpus.PartOf(w) == Part.Test).ToArray();
        Assert.NotEmpty(testWords);
        var train = filters.Tokens(corpus, 0, test: false).ToHashSet();
        foreach (var w in testWords)
            for (var t = corpus.FirstToken[w]; t <= corpus.LastToken[w]; t++)
                Assert.DoesNotContain(t, train);
        Assert.Empty(train.Intersect(filters.Tokens(corpus, 0, test: true)));
    }

    [Fact]
    public void Pieces_are_pooled_by_the_maximum_of_each_feature()
    {
        var pieces = new SparseCodes(6, [0, 2, 4, 5], [1, 4, 1, 2, 5], [1f, 2f, 3f, 0.5f, 9f]);
        var built = new SparseCodesBuilder(6);
        var pool = new EncodeStage.MaxPool(6);
        pool.Add(pieces, 0, 2, built);
        pool.Add(pieces, 2, 1, built);
        var words = built.Build();
        Assert.Equal([1, 2, 4], words.RowIndex(0).ToArray());
        Assert.Equal([3f, 0.5f, 2f], words.RowValue(0).ToArray());
        Assert.Equal([5], words.RowIndex(1).ToArray()); // nothing of the word before
    }

    [Fact]
    public void A_card_shows_the_strongest_context_of_each_sentence_with_the_words_around_it()
    {
        var corpus = Corpus();
        var filters = NormFilters.From(corpus, new Dictionary<int, Column<float>> { [0] = [.. Enumerable.Repeat(1f, corpus.TokenIds.Length)] });
        var (words, packed) = Inputs.Words(corpus, filters);
        // Feature 1 fires on every "beta", and more strongly with each document; and weakly on the first "gamma".
        var built = new SparseCodesBuilder(3);
        for (var w = 0; w < words.Count; w++)
        {
            var form = corpus.Forms[corpus.WordForm[packed[w]]];
            if (form == "beta")
                built.Add([1], [1f + words.Document[w]]);
            else if (form == "gamma" && words.Document[w] == 0)
                built.Add([1], [0.25f]);
            else
                built.Add([], []);
        }
        var row = Assert.Single(new FeatureCards(corpus, words, packed, built.Build()).Rows(Guid.NewGuid(), 2, _ => ([], [])));
        Assert.Equal((1, 12f, 13.0 / words.Count), (row.Index, row.MaxActivation, row.Density));
        var contexts = JsonSerializer.Deserialize<List<ActivatingContext>>(row.ContextsJson, Wire.Json)!;
        Assert.Equal(12, contexts.Count);
        Assert.Equal("s11", contexts[0].Sentence);
        Assert.Equal(["alpha", "beta", "gamma"], contexts[0].Words);
        Assert.Equal("beta", contexts[0].Words[contexts[0].Position]);
        Assert.Equal([0, 12, 0], contexts[0].Activations);
        Assert.Equal("VERB", contexts[0].Labels["pos"]);
        Assert.Equal(contexts.Count, contexts.Select(c => c.Sentence).Distinct().Count());
        var histogram = JsonSerializer.Deserialize<ActivationHistogram>(row.HistogramJson, Wire.Json)!;
        Assert.Equal(13, histogram.Counts.Sum());
        Assert.Equal(1, histogram.Counts[^1]);
    }

    [Theory]
    [InlineData("resid_post", 0, "embed", "hook_embed")]
    [InlineData("resid_post", 3, "blocks.2.resid_post", "blocks.2.hook_resid_post")]
    [InlineData("attn_out", 1, "blocks.0.attn_out", "blocks.0.hook_attn_out")]
    public void Layers_have_the_names_the_field_gives_them(string hook, int layer, string name, string transformerLens)
    {
        Assert.Equal(name, Hooks.NameOf(hook, layer));
        Assert.Equal(transformerLens, HookNames.TransformerLens(hook, layer));
    }
}
