using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;

namespace SaeService.Pipeline;

/// <summary>How a job puts text before its model, whatever the text.</summary>
internal static class Packing
{
    public static PackingSettings Of(JobRequest request, Tokenizer tokenizer) => new()
    {
        ContextLength = request.ContextLength!.Value,
        PrefixIds = tokenizer.Prefix,
        SuffixIds = tokenizer.Suffix,
        SpecialIds = tokenizer.SpecialIds,
        Seed = request.Seed!.Value,
    };

    public static Tokenize Tokenise(Tokenizer tokenizer) => text =>
    {
        var encoding = tokenizer.Encode(text, addSpecialTokens: false);
        return (encoding.Ids, encoding.Offsets);
    };
}
