using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Statistics;
using SaeService.Storage;
using Xunit;

namespace SaeService.Pipeline.Tests;

/// <summary>Cards against what is found by looking at every word for every feature.</summary>
public sealed class FeatureCardsTests : IDisposable
{
    private const int Width = 40;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly PackedCorpus _corpus;
    private readonly LabelledWords _words;
    private readonly Column<int> _packed;
    private readonly SparseCodes _codes;

    public FeatureCardsTests()
    {
        var random = new Random(5);
        // Of sixty sentences some are long, and there are more labels than a card shows.
        var text = string.Concat(Enumerable.Range(0, 60).Select(s =>
        {
            var words = Enumerable.Range(0, s % 7 == 0 ? 40 : 3 + s % 5).Select(_ => ((char)('a' + random.Next(20))).ToString()).ToArray();
            return $"# newdoc id = d{s}\n# sent_id = s{s}\n# text = {string.Join(' ', words)}\n"
                + string.Concat(words.Select((w, i) => $"{i + 1}\t{w}\t_\tL{random.Next(1, 12)}\t_\t_\t{i}\tdep\t_\t_\n")) + "\n";
        }));
        var file = Path.Combine(_folder, "x.conllu");
        File.WriteAllText(file, text);
        _corpus = CorpusPacker.Pack(DatasetFolder.Open(file).Read(null, new ReadSettings { Tasks = ["pos"] }), line =>
        {
            (int, int)[] spans = [.. Enumerable.Range(0, line.Length).Where(i => line[i] != ' ').Select(i => (i, i + 1))];
            return ([.. spans.Select(s => (int)line[s.Item1])], spans);
        }, new PackingSettings { ContextLength = 64, PrefixIds = [1], SpecialIds = new HashSet<int> { 1 }, Tasks = ["pos"], Seed = 1 });
        (_words, _packed) = Inputs.Words(_corpus, NormFilters.From(_corpus, new Dictionary<int, Column<float>> { [0] = [.. Enumerable.Repeat(1f, _corpus.TokenIds.Length)] }));

        // Feature 0 fires everywhere, some never, values often equal; words are unlabelled here and there.
        var (start, index, value) = (new List<long> { 0 }, new List<int>(), new List<float>());
        for (var w = 0; w < _words.Count; w++)
        {
            for (var f = 0; f < Width; f++)
                if (f == 0 || (f % 9 != 8 && random.Next(f + 2) == 0))
                {
                    index.Add(f);
                    value.Add(f % 2 == 0 ? random.Next(1, 5) : (float)random.NextDouble() + 1e-3f);
                }
            start.Add(index.Count);
            if (w % 13 == 0)
                _words.Tasks[0].Of[w] = -1;
        }
        _codes = new(Width, [.. start], [.. index], [.. value]);
    }

    private List<FeatureRow> Rows(int held = 1 << 22) => [.. new FeatureCards(_corpus, _words, _packed, _codes, held).Rows(Guid.Empty, 3,
        feature => ([new TokenEffect(" The", feature), new TokenEffect(new string('x', 65), 1), new TokenEffect("A", 0.5)], []))];

    [Fact]
    public void Every_part_of_a_card_is_that_of_all_words_looked_at()
    {
        var rows = Rows();
        Assert.Equal(Enumerable.Range(0, Width).Where(f => f % 9 != 8), rows.Select(r => r.Index));
        foreach (var row in rows)
        {
            var fires = Enumerable.Range(0, _words.Count).Select(w => (Word: w, Value: Value(w, row.Index))).Where(x => x.Value > 0).ToList();
            var max = fires.Max(x => x.Value);
            Assert.Equal(((double)fires.Count / _words.Count, max), (row.Density, row.MaxActivation));
            Assert.Equal(fires.Average(x => (double)x.Value), row.MeanActivation, 1e-5);
            Assert.Equal(" the\na", row.PromotedTokens);

            var histogram = Read<ActivationHistogram>(row.HistogramJson);
            int Bin(float value) => Math.Min(19, (int)(20 * (double)value / max));
            Assert.Equal(Enumerable.Range(0, 20).Select(b => fires.Count(x => Bin(x.Value) == b)), histogram.Counts);

            var byLabel = Read<List<LabelHistogram>>(row.LabelHistogramsJson!).Single();
            var task = _words.Tasks[0];
            var common = fires.Where(x => task.Of[x.Word] >= 0).GroupBy(x => task.Of[x.Word]).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).Take(7).ToList();
            Assert.Equal(common.Select(g => task.Names[g.Key]), byLabel.Labels.Select(l => l.Label));
            foreach (var (group, label) in common.Zip(byLabel.Labels))
                Assert.Equal(Enumerable.Range(0, 20).Select(b => group.Count(x => Bin(x.Value) == b)), label.Counts);
            Assert.Equal(histogram.Counts, Enumerable.Range(0, 20).Select(b => byLabel.Other[b] + byLabel.Labels.Sum(l => l.Counts[b])));

            var top = fires.OrderByDescending(x => x.Value).ThenBy(x => x.Word).DistinctBy(x => _words.Sentence[x.Word]).Take(20);
            AssertContexts(top, Read<List<ActivatingContext>>(row.ContextsJson), row.Index);

            var intervals = Read<List<ActivationInterval>>(row.IntervalsJson!);
            Assert.Equal(5, intervals.Count);
            Assert.Equal(1, intervals.Sum(i => i.Share), 1e-5);
            for (var i = 0; i < 5; i++)
            {
                var inside = fires.Where(x => Bin(x.Value) / 4 == 4 - i).ToList();
                Assert.Equal((inside.Count, Math.Round((double)inside.Count / fires.Count, 6)), (intervals[i].Words, intervals[i].Share));
                Assert.Equal((histogram.Edges[4 * (4 - i)], histogram.Edges[4 * (5 - i)]), (intervals[i].Low, intervals[i].High));
                var drawn = inside.OrderBy(x => new CounterRandom(row.Index, x.Word).NextUInt64()).DistinctBy(x => _words.Sentence[x.Word]).Take(3);
                AssertContexts(drawn.OrderByDescending(x => x.Value).ThenBy(x => x.Word), intervals[i].Contexts, row.Index);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(300)]
    public void How_many_are_held_at_a_time_changes_nothing(int held) => Assert.Equal(JsonSerializer.Serialize(Rows()), JsonSerializer.Serialize(Rows(held)));

    private void AssertContexts(IEnumerable<(int Word, float Value)> expected, IReadOnlyList<ActivatingContext> contexts, int feature)
    {
        Assert.Equal(expected.Select(x => (_corpus.SentenceIds[_words.Sentence[x.Word]], Math.Round(x.Value, 4))), contexts.Select(c => (c.Sentence, c.Activation)));
        foreach (var ((word, _), context) in expected.Zip(contexts))
        {
            var shown = Enumerable.Range(Math.Max(0, word - 12), 25).Where(w => w < _words.Count && Math.Abs(w - word) <= 12 && _words.Sentence[w] == _words.Sentence[word]).ToList();
            Assert.Equal(shown.Select(w => _corpus.Forms[_corpus.WordForm[_packed[w]]]), context.Words);
            Assert.Equal(shown.Select(w => Math.Round(Value(w, feature), 4)), context.Activations);
            Assert.Equal(shown.IndexOf(word), context.Position);
            Assert.Equal(_words.Tasks[0].Of[word] < 0 ? null : _words.Tasks[0].Names[_words.Tasks[0].Of[word]], context.Labels["pos"]);
        }
    }

    private float Value(int word, int feature)
    {
        for (var n = 0; n < _codes.RowIndex(word).Length; n++)
            if (_codes.RowIndex(word)[n] == feature)
                return _codes.RowValue(word)[n];
        return 0;
    }

    private static T Read<T>(string json) => JsonSerializer.Deserialize<T>(json, Wire.Json)!;

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
