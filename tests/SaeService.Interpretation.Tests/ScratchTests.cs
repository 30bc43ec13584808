using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>Nothing that is found depends on where the numbers lie: everything in files gives what everything in memory gives.</summary>
public sealed class ScratchTests : IDisposable
{
    private const int D = 16;
    private static readonly LabelledWords Words = Planted.Words();
    private static readonly SparseCodes Codes = Planted.Codes(Words,
        [.. Enumerable.Range(0, 40).Select(n => Planted.Noise(0.01 * n, n)), w => Words.Carries("pos", "P", w) ? 1 + w % 7 : 0, w => Words.Carries("pos", "D", w) || w % 50 == 0 ? 2 : 0]);

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly ScratchSpace _files;

    public ScratchTests() => _files = new ScratchSpace(_folder, inFileFrom: 1);

    public void Dispose()
    {
        _files.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Labels_and_controls_are_the_same()
    {
        Assert.Equal(Found(ScratchSpace.Heap), Found(_files));

        static string Found(ScratchSpace scratch)
        {
            var codes = new SparseCodesBuilder(Codes.Width, scratch);
            codes.Add(Codes);
            var own = codes.Build();
            var rules = new LabelRules();
            var labelled = FeatureLabeller.Run(own, Words, rules, scratch: scratch);
            object[] found =
            [
                labelled.Layer, labelled.Features().ToArray(), SparseProbes.Run(own, Words, scratch: scratch),
                FeatureLabeller.Run(RandomDirections.Codes(Rows, D, own, 3, bytes: 64 << 10, scratch: scratch), Words, rules, scratch: scratch).Layer,
                FeatureLabeller.Run(MatchedCodes.ByTopK(DenseDictionary.Random(30, D, 5), Rows, D, Words.Count, 4, scratch: scratch), Words, rules, scratch: scratch).Layer,
                FeatureLabeller.Run(own, ShuffledLabels.Of(Words, 4, scratch), rules, scratch: scratch).Layer,
                FeatureLabeller.Run(TokenTypeDetectors.Codes(Words, scratch), Words, rules, scratch: scratch).Layer,
            ];
            return JsonSerializer.Serialize(found);
        }
    }

    [Fact]
    public void Information_is_the_same()
    {
        Assert.Equal(Found(ScratchSpace.Heap), Found(_files));

        static string Found(ScratchSpace scratch)
        {
            var rules = new InformationRules { BootstrapSamples = 50, MaxTrainWords = 2000, Scratch = scratch };
            var measured = Words.Tasks.SelectMany(task => new[] { task, TaskVariants.WithoutO(task, scratch), TaskVariants.NextWord(task, Words, w => w % 12 != 11, scratch) })
                .Where(task => task is not null).Select(task =>
                {
                    var chosen = ProbeWords.Choose(Words, task!, rules.MaxTrainWords, rules.Seed, scratch);
                    var lambda = VInformation.ChooseLambda(Words, task!, chosen, D, Gather, rules).Lambda;
                    return VInformation.Measure(Words, task!, chosen, 0, D, Gather, lambda, rules, task!.Task == "pos" ? null : Words.Tasks[0]);
                }).ToArray();
            return JsonSerializer.Serialize(measured);
        }
    }

    private static void Gather(ReadOnlySpan<int> words, Span<float> into)
    {
        for (var i = 0; i < words.Length; i++)
            Rows(words[i], into.Slice(i * D, D));
    }

    private static void Rows(int first, Span<float> into)
    {
        for (var i = 0; i < into.Length; i++)
        {
            var (word, j) = (first + i / D, i % D);
            into[i] = (float)Math.Sin(1.7 * Words.Type[word] * (j + 1)) + 0.5f * (float)Math.Cos(word * (j + 3));
        }
    }
}
