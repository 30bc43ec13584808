using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>What the numbers of an autoencoder mean for who reads its features.</summary>
/// <param name="Good">Null: neither good nor bad.</param>
public sealed record QualityRemark(bool? Good, string Text)
{
    /// <summary>Latents whose decoder rows are this close are one in all but name.</summary>
    private const double NearlyOne = 0.95;

    /// <summary>Share of dead latents from which the dictionary is smaller than it looks.</summary>
    private const double ManyDead = 0.1;

    public static IReadOnlyList<QualityRemark> Of(SaeProvenance sae)
    {
        var remarks = new List<QualityRemark>
        {
            sae.Gate == "pass"
                ? new(true, $"Faithful: it leaves {Shown.Percent(sae.Fvu)} of the variance of held-out vectors unexplained (the limit is 30\u00a0%).")
                : new(false, $"Unfaithful: {Shown.Percent(sae.Fvu)} of the variance is unexplained, or the model loses too much with it in place. Its features describe the layer badly, and claims that rest on them are of low confidence."),
            sae.Dead > ManyDead
                ? new(false, $"{Shown.Percent(sae.Dead)} of the latents never fire on held-out tokens: the dictionary is smaller than it looks.")
                : new(true, $"{Shown.Percent(sae.Dead)} of the latents are dead."),
        };
        if (sae.Splice is { } splice)
            remarks.Add(splice.CeLossRecovered is { } share
                ? new(share >= 0.9, $"With it in place the model's loss rises by {Shown.Fine(splice.DeltaCe)} nats a token: {Shown.Percent(share)} of what zeros would cost is recovered. Zeros are a weak reference; of what the mean would cost, {(splice.CeLossRecoveredMean is { } mean ? Shown.Percent(mean) : "no share can be told")}.")
                : new(null, $"With it in place the model's loss rises by {Shown.Fine(splice.DeltaCe)} nats a token; zeros change nothing here, so no share can be told."));
        else
            remarks.Add(new(null, "The model's loss with it in place was not measured in this mode."));
        if (sae.NormRatio is < 0.9)
            remarks.Add(new(false, $"Reconstructions are too short, {Shown.Score(sae.NormRatio.Value)} of the vectors' length: activations are shrunk."));
        if (sae.DecoderCosineMax is > NearlyOne)
            remarks.Add(new(null, $"Two of its latents point the same way (cosine {Shown.Score(sae.DecoderCosineMax.Value)}): nearly one feature, counted twice."));
        return remarks;
    }
}
