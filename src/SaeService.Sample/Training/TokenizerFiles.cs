using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SaeService.Sample.Training;

/// <summary>Writes a BPE vocabulary as the three tokenizer files of a Hugging Face Llama folder (byte fallback, space as U+2581, BOS in front).</summary>
public static class TokenizerFiles
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Write(string folder, BpeVocabulary vocabulary, int contextLength)
    {
        Save(Path.Combine(folder, "tokenizer.json"), TokenizerJson(vocabulary));
        Save(Path.Combine(folder, "tokenizer_config.json"), new JsonObject
        {
            ["add_bos_token"] = true,
            ["add_eos_token"] = false,
            ["added_tokens_decoder"] = new JsonObject(BpeTrainer.SpecialPieces.Select((piece, id) =>
                KeyValuePair.Create(id.ToString(System.Globalization.CultureInfo.InvariantCulture), (JsonNode?)Special(piece)))),
            ["bos_token"] = "<s>",
            ["eos_token"] = "</s>",
            ["unk_token"] = "<unk>",
            ["clean_up_tokenization_spaces"] = false,
            ["legacy"] = true,
            ["model_max_length"] = contextLength,
            ["tokenizer_class"] = "LlamaTokenizerFast",
        });
        Save(Path.Combine(folder, "special_tokens_map.json"), new JsonObject { ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>" });
    }

    public static void Save(string path, JsonNode document) => File.WriteAllText(path, document.ToJsonString(Indented) + "\n");

    private static JsonObject TokenizerJson(BpeVocabulary vocabulary) => new()
    {
        ["version"] = "1.0",
        ["truncation"] = null,
        ["padding"] = null,
        ["added_tokens"] = new JsonArray([.. BpeTrainer.SpecialPieces.Select((piece, id) =>
        {
            var token = Special(piece);
            token.Insert(0, "id", id);
            return token;
        })]),
        ["normalizer"] = Sequence("normalizers", [
            new JsonObject { ["type"] = "Prepend", ["prepend"] = BpeTrainer.SpaceMark },
            Replace(" ", BpeTrainer.SpaceMark)]),
        ["pre_tokenizer"] = null,
        ["post_processor"] = new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray(SpecialSlot(0), SequenceSlot("A", 0)),
            ["pair"] = new JsonArray(SpecialSlot(0), SequenceSlot("A", 0), SpecialSlot(1), SequenceSlot("B", 1)),
            ["special_tokens"] = new JsonObject
            {
                ["<s>"] = new JsonObject { ["id"] = "<s>", ["ids"] = new JsonArray(1), ["tokens"] = new JsonArray("<s>") },
            },
        },
        ["decoder"] = Sequence("decoders", [
            Replace(BpeTrainer.SpaceMark, " "),
            new JsonObject { ["type"] = "ByteFallback" },
            new JsonObject { ["type"] = "Fuse" },
            new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 }]),
        ["model"] = new JsonObject
        {
            ["type"] = "BPE",
            ["dropout"] = null,
            ["unk_token"] = "<unk>",
            ["continuing_subword_prefix"] = null,
            ["end_of_word_suffix"] = null,
            ["fuse_unk"] = true,
            ["byte_fallback"] = true,
            ["ignore_merges"] = false,
            ["vocab"] = new JsonObject(vocabulary.Pieces.Select((piece, id) => KeyValuePair.Create(piece, (JsonNode?)id))),
            ["merges"] = new JsonArray([.. vocabulary.Merges.Select(m => (JsonNode)$"{m.Left} {m.Right}")]),
        },
    };

    private static JsonObject Special(string piece) => new()
    {
        ["content"] = piece,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonObject Sequence(string key, JsonNode[] items) => new() { ["type"] = "Sequence", [key] = new JsonArray(items) };

    private static JsonObject Replace(string from, string to) =>
        new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = from }, ["content"] = to };

    private static JsonObject SpecialSlot(int type) => new() { ["SpecialToken"] = new JsonObject { ["id"] = "<s>", ["type_id"] = type } };

    private static JsonObject SequenceSlot(string name, int type) => new() { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = type } };
}
