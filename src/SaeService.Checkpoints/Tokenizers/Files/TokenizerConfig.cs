using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>
/// tokenizer_config.json, special_tokens_map.json and added_tokens.json: what the transformers library knows of a tokenizer beyond its vocabulary. Most of
/// their keys are of no account for encoding and are passed over.
/// </summary>
internal sealed class TokenizerConfig
{
    private const long MaxFile = 20_000_000;
    private const int MaxAdded = 1_000_000;

    private static readonly string[] s_names = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private readonly StrictJson? _config, _map, _added;
    private readonly string? _modelType;

    private TokenizerConfig(string folder)
    {
        _config = Open("tokenizer_config.json");
        _map = Open("special_tokens_map.json");
        _added = Open("added_tokens.json");
        _modelType = Open("config.json") is { } model && model.Value("model_type") is { ValueKind: JsonValueKind.String } type ? type.GetString() : null;

        StrictJson? Open(string name)
        {
            var file = Path.Combine(folder, name);
            return File.Exists(file) ? new StrictJson(CheckpointJson.Read(file, MaxFile), file) : null;
        }
    }

    public static TokenizerConfig Read(string folder) => new(folder);

    /// <summary>The class that the transformers library would load, without Fast and Tokenizer; null where no file says.</summary>
    public string? Class => (_config?.Text("tokenizer_class") ?? _modelType switch
    {
        "roberta" or "xlm-roberta-xl" or "bart" or "longformer" => "Roberta",
        "gpt2" or "gpt_neo" or "gptj" or "opt" or "codegen" => "GPT2",
        "qwen2" => "Qwen2",
        "llama" or "mistral" or "gemma" or "gemma2" => "Llama",
        "bert" or "distilbert" or "electra" => "Bert",
        _ => null,
    })?.Replace("Fast", "", StringComparison.Ordinal).Replace("Tokenizer", "", StringComparison.Ordinal);

    public bool Flag(string key, bool fallback) => _config?.Flag(key, fallback) ?? fallback;

    public bool? Flag(string key) => _config?.Value(key) is null ? null : _config.Flag(key, false);

    public CheckpointException Unsupported(string file, string key, string message) =>
        _config?.Unsupported(key, message) ?? new CheckpointException(CheckpointFault.Unsupported, file, key, message);

    /// <summary>A special token by its role, such as bos_token.</summary>
    public string? Special(string role) => Token(role)?.Content;

    /// <summary>The tokens to add to a vocabulary that comes without a tokenizer.json: those of the files by id, then the special ones, in the library's order of roles.</summary>
    /// <param name="defaults">Roles with the token that the class gives them where no file does.</param>
    public List<(int? Id, AddedToken Token)> Added(params (string Role, AddedToken Token)[] defaults)
    {
        var added = new SortedDictionary<int, AddedToken>();
        foreach (var (content, id) in _added is { } file ? TokenIds(file) : [])
            added[id] = new AddedToken(content, false, Normalized: true, false, false, false);
        if (_config?.Nested("added_tokens_decoder") is { } decoder)
            foreach (var entry in decoder.Unread.ToArray())
                if (int.TryParse(entry.Name, out var id) && id is >= 0 and <= TokenizerJson.MaxId && added.Count < MaxAdded)
                    added[id] = ReadToken(entry.Value, () => decoder.Invalid(entry.Name, "must be a token with its flags"), special: false);
                else
                    throw decoder.Invalid(entry.Name, "must be a token id");
        var special = s_names.Select(role => Token(role) ?? defaults.FirstOrDefault(d => d.Role == role).Token).Where(t => t is not null).Select(t => t!).DistinctBy(t => t.Content).ToList();
        var result = new List<(int?, AddedToken)>();
        foreach (var (id, token) in added)
            result.Add((id, special.Exists(s => s.Content == token.Content) ? token with { Special = true, Normalized = token.Normalized && !special.Exists(s => s.Content == token.Content && !s.Normalized) } : token));
        result.AddRange(special.Where(s => !added.Values.Any(t => t.Content == s.Content)).Select(s => ((int?)null, s)));
        return result;
    }

    /// <summary>
    /// Llama's tokenizer class of the transformers library puts the begin and end tokens around a text by its own switches: this is done where the file
    /// says nothing of what goes around a text.
    /// </summary>
    public void SurroundLlama(TokenizerParts parts, bool always = false)
    {
        var processor = parts.PostProcessor;
        if (processor.Prefix.Length + processor.Suffix.Length > 0 || !(always || Class is "Llama" or "CodeLlama" or "Gemma" or "Cohere"))
            return;
        processor.Surround(Id(Flag("add_bos_token", true), "bos_token", "<s>", "<bos>"), Id(Flag("add_eos_token", false), "eos_token", "</s>", "<eos>"));

        int[] Id(bool wanted, string role, params string[] usual)
        {
            if (!wanted)
                return [];
            foreach (var token in Special(role) is { } named ? [named] : usual)
                if (parts.IdOf(token) is { } id)
                    return [id];
            return [];
        }
    }

    private AddedToken? Token(string role)
    {
        foreach (var file in new[] { _config, _map })
            if (file?.Value(role) is { } value)
                return ReadToken(value, () => file.Invalid(role, "must be a token"), special: true);
        return null;
    }

    private static AddedToken ReadToken(JsonElement value, Func<CheckpointException> invalid, bool special)
    {
        if (value.ValueKind == JsonValueKind.String)
            return new AddedToken(value.GetString()!, special, Normalized: !special, false, false, false);
        if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String)
            throw invalid();
        bool Flag(string name, bool fallback) => value.TryGetProperty(name, out var flag)
            ? flag.ValueKind is JsonValueKind.True or JsonValueKind.False ? flag.GetBoolean() : throw invalid()
            : fallback;
        special = Flag("special", special);
        return new AddedToken(content.GetString()!, special, Flag("normalized", !special), Flag("single_word", false), Flag("lstrip", false), Flag("rstrip", false));
    }

    private static IEnumerable<(string Content, int Id)> TokenIds(StrictJson file)
    {
        foreach (var entry in file.Unread.ToArray())
            yield return entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out var id) && id is >= 0 and <= TokenizerJson.MaxId
                ? (entry.Name, id)
                : throw file.Invalid(entry.Name, "must be a token id");
    }
}
