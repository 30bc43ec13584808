using SaeService.Checkpoints;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

/// <summary>
/// Real tokenizers over real treebanks, in three languages and with no spaces in one: a word gets no token of its own only where every token on
/// it reaches into a neighbour, or where it is a part of a surface that its parts do not spell. Whatever else happened would be a defect.
/// </summary>
public sealed class TreebankAlignmentTests
{
    // How often tokens cross the borders of words is a matter of the vocabulary: '."' is one token of most, '的一' of the largest.
    [Theory]
    [InlineData("tokenizers/gpt2", "ewt-uner", 50_241, 0.985)]
    [InlineData("tokenizers/gpt-neox-20b", "ewt-uner", 50_241, 0.985)]
    [InlineData("tokenizers/llama2", "ewt-uner", 50_241, 0.985)]
    [InlineData("tokenizers/llama3", "ewt-uner", 50_241, 0.975)]
    [InlineData("models/stories3M", "ewt-uner", 50_241, 0.991)]
    [InlineData("models/stories260K", "ewt-uner", 50_241, 0.999)]
    [InlineData("tokenizers/gpt2", "de-gsd", 28_979, 0.986)]
    [InlineData("tokenizers/llama2", "de-gsd", 28_979, 0.989)]
    [InlineData("tokenizers/llama3", "de-gsd", 28_979, 0.977)]
    [InlineData("tokenizers/gpt2", "zh-gsdsimp", 12_012, 1)]
    [InlineData("tokenizers/gpt-neox-20b", "zh-gsdsimp", 12_012, 0.994)]
    [InlineData("tokenizers/llama2", "zh-gsdsimp", 12_012, 1)]
    [InlineData("tokenizers/llama3", "zh-gsdsimp", 12_012, 0.888)]
    public void Every_word_without_a_token_of_its_own_has_a_reason(string folder, string treebank, int expected, double least)
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/" + folder));
        var data = DatasetFolder.Open(SharedData.Require("data/gold/" + treebank));
        var (words, aligned, shared, surface) = (0, 0, 0, 0);
        foreach (var sentence in data.Read([.. data.Splits.Where(s => s != "train")]))
        {
            var encoding = tokenizer.Encode(sentence.Text, addSpecialTokens: false);
            var n = sentence.Words.Length;
            var (first, last, outcome) = (new int[n], new int[n], new Alignment[n]);
            WordAligner.Align(sentence.Text, [.. sentence.Words.Select(w => (w.Start, w.End))], [.. sentence.Words.Select(w => w.SharesSurface)], encoding.Offsets,
                [.. encoding.Ids.Select(tokenizer.SpecialIds.Contains)], first, last, outcome);
            words += n;
            for (var w = 0; w < n; w++)
            {
                switch (outcome[w])
                {
                    case Alignment.Aligned:
                        aligned++;
                        Assert.True(Touches(sentence, encoding.Offsets[first[w]], w) && Touches(sentence, encoding.Offsets[last[w]], w), $"{sentence.Id}, word {w}");
                        break;
                    case Alignment.Ambiguous:
                        shared++;
                        var touching = encoding.Offsets.Where(t => Touches(sentence, t, w)).ToArray();
                        Assert.True(touching.Length > 0 && Array.TrueForAll(touching, t => Enumerable.Range(0, n).Any(other => other != w && Touches(sentence, t, other))),
                            $"{sentence.Id}, word {w}");
                        break;
                    case Alignment.Multiword:
                        surface++;
                        Assert.True(sentence.Words[w].SharesSurface);
                        break;
                    default:
                        Assert.Fail($"{sentence.Id}, word {w} '{sentence.Words[w].Form}': {outcome[w]}");
                        break;
                }
            }
        }
        Assert.Equal(expected, words);
        Assert.Equal(words, aligned + shared + surface);
        Assert.True(aligned >= least * (words - surface), $"{aligned} of {words}, {surface} of them parts of surfaces");
    }

    private static bool Touches(Sentence sentence, (int Start, int End) token, int word)
    {
        var (start, end) = (Math.Max(token.Start, sentence.Words[word].Start), Math.Min(token.End, sentence.Words[word].End));
        return start < end && !string.IsNullOrWhiteSpace(sentence.Text[start..end]);
    }
}
