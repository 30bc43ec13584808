using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <summary>What autoencoders are to be trained: every default filled in, and what can not be, named by its path.</summary>
internal static class SaeResolver
{
    /// <param name="dIn">Null where the model is at fault itself.</param>
    public static SaeSettings Resolve(SaeSettings asked, int? dIn, Checks check, RequestErrors errors, string path = "$.sae")
    {
        const int MaxExpansion = 256;
        int? expansion = asked.DSae is null || asked.Expansion is not null
            ? check.Range(asked.Expansion, 8, 1, MaxExpansion, path + ".expansion")
            : null;
        int? dSae = asked.DSae is { } named
            ? check.Range(named, named, 2, dIn is { } d ? Math.Min((long)d * MaxExpansion, int.MaxValue) : int.MaxValue, path + ".d_sae")
            : dIn is { } input ? (int)Math.Min((long)input * expansion!.Value, int.MaxValue) : null;
        if (asked.DSae is not null && expansion is not null && dIn is not null && (long)dIn * expansion != dSae)
            errors.Add(ProblemCodes.InvalidRequest, path + ".d_sae", $"{dSae} is not expansion {expansion} x d_in {dIn}; give one of the two");
        var k = check.Range(asked.K, Math.Min(Math.Clamp((dIn ?? 512) / 16, 8, 32), dSae ?? 32), 1, int.MaxValue, path + ".k");
        if (k > dSae)
            errors.Add(ProblemCodes.InvalidRequest, path + ".k", $"{k} is more than d_sae, {dSae}");
        var batch = check.Range(asked.BatchTokens, SaeSettings.DefaultBatchTokens, 16, 1 << 17, path + ".batch_tokens");
        var tokens = check.Range(asked.TrainTokens, SaeSettings.DefaultTrainTokens, batch, 100_000_000_000, path + ".train_tokens", $"at least one batch of {batch}");
        var resolved = asked with
        {
            Architecture = check.OneOf(asked.Architecture, [.. Architectures.Trained], path + ".architecture"),
            // Where d_sae was given and is no multiple of d_in there is no such whole number.
            Expansion = expansion ?? (dIn is { } width && dSae % width == 0 ? dSae / width : null),
            DSae = dSae,
            K = k,
            TrainTokens = tokens,
            BatchTokens = batch,
            LearningRate = check.Between(asked.LearningRate, SaeTrainingSettings.DefaultLearningRate(dSae ?? 16384, (tokens + batch - 1) / batch), 1e-8, 1, path + ".learning_rate"),
            Seed = check.Range(asked.Seed, 0, 0, int.MaxValue, path + ".seed"),
        };
        Widths(asked.MatryoshkaWidths, resolved.Architecture, dSae, path, errors);
        return resolved with { Variants = Variants(resolved, dIn, check, errors) };
    }

    private static IReadOnlyList<SaeVariant>? Variants(SaeSettings of, int? dIn, Checks check, RequestErrors errors)
    {
        const int Most = 15;
        if (of.Variants?.Count is null or 0)
            return null;
        if (of.Variants.Count > Most)
            errors.Add(ProblemCodes.InvalidRequest, "$.sae.variants", $"has {of.Variants.Count} entries; at most {Most} are trained beside the first");
        var resolved = new List<SaeVariant>();
        SaeVariant Distinct(SaeVariant v) => v with { MatryoshkaWidths = null };
        foreach (var (asked, i) in of.Variants.Take(Most).Select((v, i) => (v, i)))
        {
            var path = $"$.sae.variants[{i}]";
            if (asked is null)
            {
                errors.Add(ProblemCodes.InvalidRequest, path, "is null; {} would be the first again");
                continue;
            }
            if (asked.DSae is not null && asked.Expansion is not null)
                errors.Add(ProblemCodes.InvalidRequest, path + ".d_sae", "is given with expansion; give one of the two");
            var dSae = asked.DSae is not null || asked.Expansion is not null
                ? Resolve(new() { DSae = asked.DSae, Expansion = asked.Expansion, K = 1 }, dIn, check, errors, path).DSae
                : of.DSae;
            var architecture = check.OneOf(asked.Architecture ?? of.Architecture, [.. Architectures.Trained], path + ".architecture");
            var k = check.Range(asked.K, of.K!.Value, 1, int.MaxValue, path + ".k");
            if (k > dSae)
                errors.Add(ProblemCodes.InvalidRequest, path + ".k", $"{k} is more than d_sae, {dSae}");
            var widths = asked.MatryoshkaWidths ?? (architecture == of.Architecture && dSae == of.DSae ? of.MatryoshkaWidths : null);
            Widths(widths, architecture, dSae, path, errors);
            var variant = new SaeVariant
            {
                Architecture = architecture,
                MatryoshkaWidths = widths,
                Expansion = dIn is { } width && dSae % width == 0 ? dSae / width : null,
                DSae = dSae,
                K = k,
                LearningRate = check.Between(asked.LearningRate, dSae == of.DSae ? of.LearningRate!.Value
                    : SaeTrainingSettings.DefaultLearningRate(dSae ?? 16384, (of.TrainTokens!.Value + of.BatchTokens!.Value - 1) / of.BatchTokens.Value), 1e-8, 1,
                    path + ".learning_rate"),
                Seed = check.Range(asked.Seed, of.Seed!.Value, 0, int.MaxValue, path + ".seed"),
            };
            var first = new SaeVariant
            {
                Architecture = of.Architecture,
                MatryoshkaWidths = of.MatryoshkaWidths,
                Expansion = of.Expansion,
                DSae = of.DSae,
                K = of.K,
                LearningRate = of.LearningRate,
                Seed = of.Seed,
            };
            if (resolved.Prepend(first).Any(v => Distinct(v) == Distinct(variant) && (v.MatryoshkaWidths ?? []).SequenceEqual(widths ?? [])))
                errors.Add(ProblemCodes.InvalidRequest, path, "is the same as one before it; give it another seed, k, width or architecture");
            resolved.Add(variant);
        }
        return resolved;
    }

    private static void Widths(IReadOnlyList<int>? widths, string? architecture, int? dSae, string path, RequestErrors errors)
    {
        path += ".matryoshka_widths";
        if (widths is null)
            return;
        if (architecture != Architectures.NameOf(TrainingArchitecture.MatryoshkaBatchTopK))
            errors.Add(ProblemCodes.InvalidRequest, path, $"is only for {Architectures.NameOf(TrainingArchitecture.MatryoshkaBatchTopK)}, not {architecture}");
        else if (widths.Count is 0 or > 32 || widths[0] < 1 || widths.Zip(widths.Skip(1)).Any(pair => pair.First >= pair.Second) || (dSae is not null && widths[^1] != dSae))
            errors.Add(ProblemCodes.InvalidRequest, path, $"must be 1 to 32 widths, ascending, from 1 up, the last d_sae{(dSae is null ? "" : $", {dSae}")}");
    }
}
