using SaeService.Checkpoints;
using SaeService.Sample.Grammar;

namespace SaeService.Sample.Evaluation;

/// <summary>A document's words as character spans and as tokens. Token 0 is BOS; <see cref="Ids"/> is cut at the model's context.</summary>
public sealed class EncodedDocument
{
    private readonly int[] _tokenAt;

    public EncodedDocument(SampleDocument document, Tokenizer tokenizer, int contextLength)
    {
        var encoding = tokenizer.Encode(document.Text, addSpecialTokens: false);
        Ids = [tokenizer.BosId!.Value, .. encoding.Ids.Take(contextLength - 1)];
        _tokenAt = Enumerable.Repeat(int.MaxValue, document.Text.Length).ToArray();
        for (var t = 0; t < Ids.Length - 1; t++)
            for (var c = encoding.Offsets[t].Start; c < encoding.Offsets[t].End; c++)
                _tokenAt[c] = t + 1;

        var start = 0;
        Words = new (SampleWord, int, int)[document.Sentences.Sum(s => s.Words.Count)];
        var i = 0;
        foreach (var word in document.Sentences.SelectMany(s => s.Words))
        {
            Words[i++] = (word, start, start + word.Form.Length);
            start += word.Form.Length + (word.SpaceAfter ? 1 : 0);
        }
    }

    public int[] Ids { get; }

    /// <summary>Every word with its characters [Start, End) in the document's text.</summary>
    public (SampleWord Word, int Start, int End)[] Words { get; }

    /// <summary>The token that holds a character, or <see cref="int.MaxValue"/> past the context.</summary>
    public int TokenAt(int character) => _tokenAt[character];
}
