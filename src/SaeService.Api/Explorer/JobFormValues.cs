using System.Globalization;
using Microsoft.Extensions.Primitives;
using SaeService.Api.Requests;
using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>
/// The form of a job between a browser and a <see cref="JobRequest"/>. A field has the name of the member it fills, <c>sae.k</c> for <c>$.sae.k</c>, so that what is wrong with
/// the member is told at the field; <c>submit.js</c> makes JSON of them by the same names.
/// </summary>
/// <param name="Key">For the Idempotency-Key: the same form sent twice is one job.</param>
/// <param name="Sent">What was sent, where the form is shown again.</param>
/// <param name="Problem">Why it was refused.</param>
public sealed record JobFormValues(string Key, IFormCollection? Sent = null, Problem? Problem = null)
{
    public const string KeyField = "idempotency_key";

    public StringValues All(string name) => Sent is null ? StringValues.Empty : Sent[name];

    public string? Of(string name) => All(name) is { Count: > 0 } values ? values[0] : null;

    /// <summary>Messages for a field; those of a list's entries, <c>$.layers[2]</c>, are the list's.</summary>
    public IReadOnlyList<string> ErrorsOf(string name) =>
        [.. (Problem?.Errors ?? new Dictionary<string, string[]>()).Where(x => FieldOf(x.Key) == name).SelectMany(x => x.Value)];

    /// <summary>The field that a JSON path is about.</summary>
    public static string FieldOf(string path) => path.StartsWith("$.", StringComparison.Ordinal) ? path[2..].Split('[')[0] : path;

    /// <summary>What is left empty is left out, and gets its default.</summary>
    /// <exception cref="ProblemException">invalid_request, for what is no number.</exception>
    public static JobRequest Read(IFormCollection form)
    {
        var errors = new RequestErrors();
        var request = new JobRequest
        {
            Model = new ModelReference(Required("model.id"), Text("model.revision")),
            Dataset = new DatasetReference(Required("dataset.id"), Text("dataset.split"), Whole("dataset.max_words"), Revision: Text("dataset.revision")),
            Tasks = List("tasks") is { Count: > 0 } tasks ? tasks : null,
            Layers = Layers(),
            Mode = Text("mode"),
            Hook = Text("hook"),
            ContextLength = Whole("context_length"),
            Seed = Whole("seed"),
            KeepActivations = Text("keep_activations") is null ? null : true,
            Sae = new SaeSettings
            {
                Architecture = Text("sae.architecture"),
                Expansion = Whole("sae.expansion"),
                K = Whole("sae.k"),
                TrainTokens = Whole("sae.train_tokens"),
                Seed = Whole("sae.seed"),
            },
            Labels = new LabelSettings { MinSupport = Whole("labels.min_support") },
            Information = new InformationSettings { Target = Text("information.target"), MaxTrainWords = Whole("information.max_train_words") },
        };
        errors.ThrowIfAny();
        return request;

        string? Text(string name) => form[name].ToString().Trim() is { Length: > 0 } text ? text : null;

        string Required(string name)
        {
            if (Text(name) is { } text)
                return text;
            errors.Add(ProblemCodes.InvalidRequest, "$." + name, "is required");
            return "";
        }

        int? Whole(string name)
        {
            if (Text(name) is not { } text)
                return null;
            if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
                return value;
            errors.Add(ProblemCodes.InvalidRequest, "$." + name, "must be a whole number");
            return null;
        }

        List<string> List(string name) => [.. form[name].SelectMany(x => (x ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];

        LayerSelection? Layers()
        {
            if (Text("layers") is not { } text || text == "all")
                return null;
            var layers = new List<int>();
            foreach (var part in text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries))
            {
                var ends = part.Split('-');
                if (ends.Length > 2 || !ends.All(end => int.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n <= 10_000))
                {
                    errors.Add(ProblemCodes.InvalidRequest, "$.layers", $"'{(part.Length <= 60 ? part : part[..60] + "…")}' is no layer: all, or numbers such as 0, 2-5");
                    return null;
                }
                var (first, last) = (int.Parse(ends[0], CultureInfo.InvariantCulture), int.Parse(ends[^1], CultureInfo.InvariantCulture));
                layers.AddRange(Enumerable.Range(first, Math.Max(0, last - first + 1)));
            }
            return new LayerSelection(layers);
        }
    }
}
