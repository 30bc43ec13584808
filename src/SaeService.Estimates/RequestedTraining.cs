using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>What a request's autoencoders are trained with. What it leaves open is taken as by default.</summary>
public static class RequestedTraining
{
    /// <summary>The first is the layer's own, the others are its variants; all share a pass over the activations.</summary>
    /// <param name="asked">Null: all by default.</param>
    /// <param name="dIn">Width of the activations.</param>
    public static IReadOnlyList<SaeTrainingSettings> Of(SaeSettings? asked, int dIn)
    {
        asked ??= new();
        var first = new SaeTrainingSettings(dIn, asked.DSae ?? (asked.Expansion ?? 8) * dIn, asked.K ?? 32, asked.Seed ?? 0, asked.TrainTokens ?? 0,
            asked.BatchTokens ?? 2048, asked.LearningRate)
        {
            Architecture = asked.Architecture is null ? default : Architectures.Parse(asked.Architecture),
            MatryoshkaWidths = asked.MatryoshkaWidths,
        };
        return [first, .. (asked.Variants ?? []).Select(v => first with
        {
            Architecture = v.Architecture is null ? first.Architecture : Architectures.Parse(v.Architecture),
            MatryoshkaWidths = v.MatryoshkaWidths ?? (v.DSae is null && v.Expansion is null && v.Architecture is null ? first.MatryoshkaWidths : null),
            DSae = v.DSae ?? (v.Expansion is { } expansion ? expansion * dIn : first.DSae),
            K = v.K ?? first.K,
            Seed = v.Seed ?? first.Seed,
            LearningRate = v.LearningRate ?? first.LearningRate,
            ShuffleSeed = first.OrderSeed,
        })];
    }
}
