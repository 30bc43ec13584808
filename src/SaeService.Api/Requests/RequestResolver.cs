using SaeService.Api.Access;
using SaeService.Api.Datasets;
using SaeService.Api.Models;
using SaeService.Api.Webhooks;
using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <param name="Request">With every default filled in; <see cref="JobRequest.Layers"/> is a list.</param>
/// <param name="Estimate">What the job will need; whether it may have it is not judged yet.</param>
public sealed record ResolvedRequest(JobRequest Request, IReadOnlyList<int> Layers, JobEstimate Estimate);

/// <summary>
/// Fills every default of a request and refuses what can be known to be wrong before anything is queued. The documentation of
/// <see cref="JobRequest"/> gives the defaults.
/// </summary>
public sealed class RequestResolver(ModelCatalogue models, SaeCatalogue saes, DatasetCatalogue datasets, JobEstimates estimates, ServiceSettings settings)
{
    private static readonly string[] s_hooks = ["resid_post", "resid_pre", "resid_mid", "attn_out", "mlp_out"];
    private static readonly string[] s_canonicalTasks = ["pos", "dep", "ner"];

    /// <exception cref="ProblemException">Naming each member at fault.</exception>
    public async Task<ResolvedRequest> ResolveAsync(JobRequest request, Caller caller, CancellationToken ct)
    {
        var errors = new RequestErrors();
        var check = new Checks(errors);
        var model = await TryAsync(errors, () => models.RequireAsync(request.Model, "$.model", ct));
        var dataset = await TryAsync(errors, () => datasets.RequireAsync(request.Dataset, caller, "$.dataset", ct));
        var extra = request.Dataset.ExtraText is { } text ? await TryAsync(errors, () => datasets.RequireHereAsync(text, caller, "$.dataset.extra_text", ct)) : null;
        if (request.Dataset is { ExtraTokens: not null, ExtraText: null })
            errors.Add(ProblemCodes.InvalidRequest, "$.dataset.extra_tokens", "is of use with extra_text only");

        var layers = Layers(request.Layers, model, errors);
        var named = new RequestErrors();
        (SaeSettings Settings, int? DSae)? pretrained = request.Sae is { } sae && SaeCatalogue.IsNamed(sae)
            ? await saes.ResolveAsync(sae, layers, model?.DModel, named, ct)
            : null;
        errors.Add(named);
        var resolved = request with
        {
            // A commit, where the model is of the hub: every stage reads the same files, whatever becomes of the branch.
            Model = request.Model with { Revision = model?.Revision ?? request.Model.Revision },
            Dataset = request.Dataset with
            {
                Revision = dataset?.Revision,
                Split = Split(request.Dataset.Split, dataset, errors),
                MaxWords = check.Range(request.Dataset.MaxWords, 200_000, 1, 100_000_000, "$.dataset.max_words"),
                ExtraTokens = extra is null ? null : check.Range(request.Dataset.ExtraTokens, 200_000, 1, 100_000_000, "$.dataset.extra_tokens"),
            },
            Tasks = Tasks(request.Tasks, dataset, errors),
            Layers = new LayerSelection(layers),
            Hook = check.OneOf(request.Hook, s_hooks, "$.hook"),
            ContextLength = check.Range(request.ContextLength, Math.Min(512, model?.ContextLength ?? 512), 8, model?.ContextLength ?? 1 << 20, "$.context_length",
                model is null ? null : "the model's own limit"),
            Sae = pretrained?.Settings ?? SaeResolver.Resolve(request.Sae ?? new SaeSettings(), model?.DModel, check, errors),
            Labels = Labels(request.Labels ?? new LabelSettings(), check),
            Information = Information(request.Information ?? new InformationSettings(), check),
            Mode = check.OneOf(request.Mode, [.. JobModes.All], "$.mode"),
            Seed = check.Range(request.Seed, 0, 0, int.MaxValue, "$.seed"),
            KeepActivations = request.KeepActivations ?? false,
            Metadata = Metadata(request.Metadata, errors),
        };
        WebhookTarget.Check(request.Webhook, settings.WebhooksAllowPrivate, errors);
        errors.ThrowIfAny();
        var sized = pretrained?.DSae is { } latents ? resolved with { Sae = resolved.Sae! with { DSae = latents } } : resolved;
        return new ResolvedRequest(resolved, layers, await estimates.OfAsync(sized, model!, dataset!, extra, caller, ct));
    }

    private static List<int> Layers(LayerSelection? asked, Model? model, RequestErrors errors)
    {
        if (model is null)
            return [];
        // Layer 0 is the embedding, so a model of L blocks has L + 1 layers.
        if (asked is null || asked.IsAll)
            return [.. Enumerable.Range(0, model.Layers + 1)];
        if (asked.Layers is { Count: 0 })
            errors.Add(ProblemCodes.InvalidRequest, "$.layers", "needs at least one layer");
        var seen = new HashSet<int>();
        for (var i = 0; i < asked.Layers!.Count; i++)
            if (asked.Layers[i] < 0 || asked.Layers[i] > model.Layers)
                errors.Add(ProblemCodes.LayerOutOfRange, $"$.layers[{i}]", $"{asked.Layers[i]} is not a layer of '{model.Id}', which has 0 (the embedding) to {model.Layers}");
            else if (!seen.Add(asked.Layers[i]))
                errors.Add(ProblemCodes.InvalidRequest, $"$.layers[{i}]", $"{asked.Layers[i]} is named twice");
        return [.. seen.Order()];
    }

    private static List<string> Tasks(IReadOnlyList<string>? asked, Dataset? dataset, RequestErrors errors)
    {
        if (dataset is null)
            return [];
        // A label that all words share says nothing of a layer. What was not fetched is taken at its word; prepare will see.
        List<string> usable = dataset.Fetched ? [.. dataset.Tasks.Where(t => t.Labels.Count >= 2).Select(t => t.Task)] : [.. dataset.DeclaredTasks ?? asked?.Where(IsTaskName) ?? []];
        var further = dataset.FurtherTasks.Select(t => t.Task).ToList();
        if (!dataset.Fetched && usable.Count == 0)
            errors.Add(ProblemCodes.InvalidRequest, "$.tasks", $"must be named: '{dataset.Id}' is not here yet, and nobody says which it has");
        else if (dataset is { Fetched: true, Words: 0 })
            errors.Add(ProblemCodes.InvalidDataset, "$.dataset.id", $"'{dataset.Id}' is text without labels; it can be dataset.extra_text beside a labelled data set");
        else if (usable.Count == 0 && (asked is null || further.Count == 0))
            errors.Add(ProblemCodes.InvalidDataset, "$.dataset.id", $"'{dataset.Id}' has no task with two or more labels{Among("; name some in $.tasks: ", further)}");
        if (asked is null)
            return s_canonicalTasks.Intersect(usable).ToList() is { Count: > 0 } canonical ? canonical : usable;
        if (asked.Count == 0)
            errors.Add(ProblemCodes.InvalidRequest, "$.tasks", "needs at least one task; leave it out for all that the data set has");
        var seen = new HashSet<string>();
        for (var i = 0; i < asked.Count; i++)
            if (!usable.Contains(asked[i]) && !further.Contains(asked[i]))
                errors.Add(ProblemCodes.TaskNotInDataset, $"$.tasks[{i}]",
                    $"'{Shown(asked[i])}' is not a task of '{dataset.Id}', which has {string.Join(", ", usable)}{Among(usable.Count > 0 ? ", and of further columns " : "", further)}");
            else if (!seen.Add(asked[i]))
                errors.Add(ProblemCodes.InvalidRequest, $"$.tasks[{i}]", $"'{asked[i]}' is named twice");
        return [.. asked];
    }

    private static bool IsTaskName(string task) => task.Length is > 0 and <= 100 && char.IsAsciiLetterLower(task[0]) && task.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ':');

    private static string Among(string lead, List<string> names) =>
        names.Count == 0 ? "" : $"{lead}{string.Join(", ", names.Take(20).Select(Shown))}{(names.Count > 20 ? ", …" : "")}";

    private static string? Split(string? asked, Dataset? dataset, RequestErrors errors)
    {
        if (dataset is null)
            return asked;
        if (asked is null)
            return string.Join('+', dataset.Splits);
        var parts = asked.Split('+');
        foreach (var part in parts.Where(part => !dataset.Splits.Contains(part)).Distinct())
            errors.Add(ProblemCodes.InvalidRequest, "$.dataset.split", $"'{Shown(part)}' is not a split of '{dataset.Id}', which has {string.Join(", ", dataset.Splits)}");
        foreach (var twice in parts.GroupBy(part => part).Where(g => g.Count() > 1))
            errors.Add(ProblemCodes.InvalidRequest, "$.dataset.split", $"'{Shown(twice.Key)}' is named twice");
        return asked;
    }

    private static LabelSettings Labels(LabelSettings asked, Checks check) => asked with
    {
        MinSupport = check.Range(asked.MinSupport, 30, 1, 1_000_000_000, "$.labels.min_support"),
        MinSentences = check.Range(asked.MinSentences, 10, 1, 1_000_000_000, "$.labels.min_sentences"),
        Fdr = check.Between(asked.Fdr, 0.05, 1e-12, 1, "$.labels.fdr"),
        ConsistencyLower = check.Between(asked.ConsistencyLower, 0.8, 0, 1, "$.labels.consistency_lower"),
        Kappa = check.Between(asked.Kappa, 0.7, 0, 1, "$.labels.kappa"),
        MaxDrop = check.Between(asked.MaxDrop, 0.1, 0, 1, "$.labels.max_drop"),
        Firing = check.OneOf(asked.Firing, ["threshold", "positive"], "$.labels.firing"),
        SubwordPolicy = check.OneOf(asked.SubwordPolicy, ["max", "last"], "$.labels.subword_policy"),
    };

    private static InformationSettings Information(InformationSettings asked, Checks check) => asked with
    {
        MaxTrainWords = check.Range(asked.MaxTrainWords, 20_000, 100, 10_000_000, "$.information.max_train_words"),
        SubwordPolicy = check.OneOf(asked.SubwordPolicy, ["last", "first"], "$.information.subword_policy"),
        Target = check.OneOf(asked.Target, ["current", "both"], "$.information.target"),
        BootstrapSamples = check.Range(asked.BootstrapSamples, 1000, 100, 100_000, "$.information.bootstrap_samples"),
    };

    private static IReadOnlyDictionary<string, string>? Metadata(IReadOnlyDictionary<string, string>? asked, RequestErrors errors)
    {
        if (asked?.Count > 16)
            errors.Add(ProblemCodes.InvalidRequest, "$.metadata", $"has {asked.Count} entries; at most 16 are kept");
        foreach (var (key, value) in asked ?? new Dictionary<string, string>())
            if (key.Length is 0 or > 64)
                errors.Add(ProblemCodes.InvalidRequest, "$.metadata", "a name must have 1 to 64 characters");
            else if (value is null || value.Length > 512)
                errors.Add(ProblemCodes.InvalidRequest, $"$.metadata.{key}", "must be a string of at most 512 characters");
            else if (key.Contains('\0') || value.Contains('\0'))
                errors.Add(ProblemCodes.InvalidRequest, $"$.metadata.{key.Replace('\0', '?')}", "must not contain the character U+0000");
        return asked ?? new Dictionary<string, string>();
    }

    private static async Task<T?> TryAsync<T>(RequestErrors errors, Func<Task<T>> find) where T : class
    {
        try
        {
            return await find();
        }
        catch (ProblemException e)
        {
            errors.Add(e);
            return null;
        }
    }

    private static string Shown(string value) => value.Length <= 60 ? value : value[..60] + "…";
}
