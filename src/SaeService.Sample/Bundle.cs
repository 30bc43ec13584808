using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using SaeService.Checkpoints;
using SaeService.Sample.Evaluation;
using SaeService.Sample.Grammar;
using SaeService.Sample.Training;
using SaeService.Transformers;
using TorchSharp;

namespace SaeService.Sample;

/// <summary>
/// The bundled sample: a folder with <c>model/</c> (Hugging Face layout), <c>corpus/sample.conllu</c> and <c>report.json</c> (evaluation and
/// SHA-256 of every file). Seeds keep the texts apart: the model never saw a document of the corpus or of the evaluation.
/// </summary>
public static class Bundle
{
    public const ulong TrainingSeed = 1, CorpusSeed = 2, HeldOutSeed = 3;
    public const int CorpusDocuments = 340, HeldOutDocuments = 240, TokenizerDocuments = 4000, VocabularySize = 1024;

    // libtorch's generator for the initial weights; the text has seeds of its own.
    private const int WeightSeed = 1;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NewLine = "\n",
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public static string ModelFolder(string bundle) => Path.Combine(bundle, "model");

    public static string CorpusFile(string bundle) => Path.Combine(bundle, "corpus", "sample.conllu");

    /// <summary>Writes the corpus slice; returns its words.</summary>
    public static int WriteCorpus(string file, ulong seed, int documents)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        var written = SampleCorpus.Documents(seed, documents).ToArray();
        using (var output = new StreamWriter(file))
            SampleCorpus.Write(written, output);
        return written.Sum(d => d.Sentences.Sum(s => s.Words.Count));
    }

    /// <summary>Tokenizer, model and corpus slice.</summary>
    public static void Make(string bundle, TrainingSettings settings, TextWriter log)
    {
        var folder = ModelFolder(bundle);
        Directory.CreateDirectory(folder);
        WriteCorpus(CorpusFile(bundle), CorpusSeed, CorpusDocuments);
        TokenizerFiles.Write(folder, BpeTrainer.Train(SampleCorpus.Documents(TrainingSeed, TokenizerDocuments), VocabularySize), settings.ContextLength);
        WriteConfig(folder, settings.ContextLength);
        var tokenizer = Tokenizer.Load(folder);

        torch.set_num_threads(settings.Threads);
        using (var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "config.json"))))
        using (var model = LanguageModel.Create(config.RootElement, WeightSeed))
        {
            var rows = new TrainingRows(
                text => tokenizer.Encode(text, addSpecialTokens: false).Ids, tokenizer.BosId!.Value, TrainingSeed, settings.ContextLength + 1);
            ModelTrainer.Train(
                ids => model.Forward(ids, mask: null, hook: null, logits: true)!, [.. model.Parameters.Select(p => p.Value)], rows, settings,
                (step, loss, speed) => log.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"step {step}/{settings.Steps}  loss {loss:F4}  {speed:F0} tokens/s")));
            log.WriteLine($"trained on {rows.DocumentsUsed} documents, {rows.TokensSeen} tokens");
            model.Save(Path.Combine(folder, "model.safetensors"));
        }
    }

    /// <summary>Evaluates the model of a bundle and writes <c>report.json</c>: settings, evaluation, hashes of all files.</summary>
    public static void Report(string bundle, TrainingSettings settings, TextWriter log)
    {
        var report = Evaluate(bundle, HeldOutDocuments);
        var files = new JsonObject(Files(bundle).Select(f => KeyValuePair.Create(f, (JsonNode?)Hash(Path.Combine(bundle, f)))));
        TokenizerFiles.Save(ReportFile(bundle), new JsonObject
        {
            ["training"] = JsonSerializer.SerializeToNode(settings, Json),
            ["evaluation"] = JsonSerializer.SerializeToNode(report, Json),
            ["sha256"] = files,
        });
        Print(report, log);
    }

    public static EvaluationReport Evaluate(string bundle, int documents)
    {
        using var model = LanguageModel.Load(Checkpoints.ModelFolder.Open(ModelFolder(bundle)));
        return ModelEvaluation.Run(model, Tokenizer.Load(ModelFolder(bundle)), TrainingSeed, HeldOutSeed, documents);
    }

    /// <summary>What is wrong with a bundle: files that differ from their recorded hash, and a corpus that the grammar no longer writes.</summary>
    public static IReadOnlyList<string> Faults(string bundle)
    {
        var faults = new List<string>();
        using var report = JsonDocument.Parse(File.ReadAllText(ReportFile(bundle)));
        foreach (var file in report.RootElement.GetProperty("sha256").EnumerateObject())
            if (!File.Exists(Path.Combine(bundle, file.Name)))
                faults.Add($"{file.Name}: missing");
            else if (Hash(Path.Combine(bundle, file.Name)) is var hash && hash != file.Value.GetString())
                faults.Add($"{file.Name}: sha256 {hash}, recorded {file.Value.GetString()}");
        var again = Path.GetTempFileName();
        try
        {
            WriteCorpus(again, CorpusSeed, CorpusDocuments);
            if (Hash(again) != Hash(CorpusFile(bundle)))
                faults.Add("corpus/sample.conllu: the grammar writes another text for these seeds");
        }
        finally
        {
            File.Delete(again);
        }
        return faults;
    }

    public static void Print(EvaluationReport report, TextWriter log)
    {
        var loss = report.HeldOut;
        log.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"held-out loss {loss.Model:F3} nats/token over {loss.Tokens} tokens (pairs {loss.Bigram:F3}, single tokens {loss.Unigram:F3})"));
        foreach (var a in report.Agreement)
            log.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"agreement, {a.Between}: {a.Accuracy:P1} of {a.Pairs} pairs, {a.MeanDistance:F1} words apart"));
        foreach (var r in report.Readings)
        {
            var layers = string.Join(' ', r.AccuracyByLayer.Select(x => x.ToString("P1", CultureInfo.InvariantCulture)));
            log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{r.Ambiguity}: form alone {r.FormMajority:P1}; by layer {layers} ({r.Words} words)"));
        }
    }

    private static void WriteConfig(string folder, int contextLength)
    {
        TokenizerFiles.Save(Path.Combine(folder, "config.json"), new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["attention_bias"] = false,
            ["attention_dropout"] = 0.0,
            ["bos_token_id"] = 1,
            ["eos_token_id"] = 2,
            ["head_dim"] = 32,
            ["hidden_act"] = "silu",
            ["hidden_size"] = 128,
            ["initializer_range"] = 0.05,
            ["intermediate_size"] = 344,
            ["max_position_embeddings"] = contextLength,
            ["mlp_bias"] = false,
            ["model_type"] = "llama",
            ["num_attention_heads"] = 4,
            ["num_hidden_layers"] = 4,
            ["num_key_value_heads"] = 4,
            ["rms_norm_eps"] = 1e-5,
            ["rope_scaling"] = null,
            ["rope_theta"] = 10000.0,
            ["tie_word_embeddings"] = true,
            ["torch_dtype"] = "float32",
            ["use_cache"] = true,
            ["vocab_size"] = VocabularySize,
        });
        TokenizerFiles.Save(Path.Combine(folder, "generation_config.json"), new JsonObject { ["bos_token_id"] = 1, ["eos_token_id"] = 2 });
    }

    private static string ReportFile(string bundle) => Path.Combine(bundle, "report.json");

    private static IEnumerable<string> Files(string bundle) =>
        new[] { "model", "corpus" }.SelectMany(folder => Directory.GetFiles(Path.Combine(bundle, folder)).Order(StringComparer.Ordinal))
            .Select(f => Path.GetRelativePath(bundle, f).Replace('\\', '/'));

    private static string Hash(string file)
    {
        using var stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
