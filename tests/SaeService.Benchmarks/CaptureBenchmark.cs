using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Transformers;
using static TorchSharp.torch;

namespace SaeService.Benchmarks;

/// <summary>
/// What capture costs above its floor: the linear maps of the blocks over the tokens that are not padding, and nothing else. Capture runs the model
/// and writes every layer's vectors to disk.
/// </summary>
internal static class CaptureBenchmark
{
    /// <param name="Padding">Share of the computed positions that are padding.</param>
    /// <param name="ShareOfFloor">Tokens a second of capture over those of the floor.</param>
    public sealed record Row(string Model, int D, int Layers, int Tokens, int ContextLength, double Padding, int Threads, double CaptureMs, double GemmMs,
        double TokensPerSecond, double FloorTokensPerSecond, double ShareOfFloor);

    private const int BatchTokens = 1024; // as a worker has it on a CPU
    private const int Rounds = 7;

    private static readonly (string Name, string Config)[] Models =
    [
        ("llama", """{"model_type":"llama","hidden_size":512,"intermediate_size":1376,"num_hidden_layers":4,"num_attention_heads":8,"vocab_size":8000,"max_position_embeddings":512}"""),
        ("gpt2", """{"model_type":"gpt2","n_embd":768,"n_layer":3,"n_head":12,"vocab_size":8000,"n_positions":512}"""),
        ("llama-gqa", """{"model_type":"llama","hidden_size":1024,"intermediate_size":2816,"num_hidden_layers":3,"num_attention_heads":16,"num_key_value_heads":4,"vocab_size":8000,"max_position_embeddings":512}"""),
    ];

    public static IReadOnlyList<Row> Run() => [.. Models.SelectMany(m => new[] { 128, 512 }.Select(length => Measure(m.Name, m.Config, length)))];

    private static Row Measure(string name, string config, int contextLength)
    {
        using var model = LanguageModel.Create(JsonDocument.Parse(config).RootElement, seed: 1);
        var (d, layers) = (model.Description.DModel, model.Description.Layers);
        // The batches of a corpus of usual size, of which every so-manieth is run.
        var sequences = Documents(contextLength, 200_000, model.Description.VocabularySize);
        var lengths = sequences.Select(s => s.Length).ToArray();
        var order = ActivationCapture.Order(lengths);
        var all = ActivationCapture.Batches(lengths, order, BatchTokens);
        var every = Math.Max(1, all.Count * BatchTokens / 6_144);
        var batches = all.Where((_, i) => i % every == every / 2).ToList();
        var starts = new Dictionary<int, int>();
        var tokens = 0;
        foreach (var sequence in batches.SelectMany(b => b))
        {
            starts[sequence] = tokens;
            tokens += lengths[sequence];
        }

        // The floor is libtorch's on all cores, capture's passes have one each.
        set_num_threads(Environment.ProcessorCount);
        // The blocks' matrices: two dimensions, and neither embedding nor head.
        using var noGrad = no_grad();
        var matrices = model.Parameters.Where(p => p.Value.dim() == 2 && p.Name.Any(char.IsDigit)).Select(p => p.Value.detach()).ToArray(); // [out, in]
        var inputs = matrices.Select(m => m.shape[1]).Distinct().ToDictionary(w => w, w => randn(BatchTokens, w));

        var folder = Directory.CreateTempSubdirectory("sae-bench-");
        try
        {
            var medians = Report.Interleaved(Rounds, Capture, Gemms);
            return new Row(name, d, layers, tokens, contextLength, Math.Round(1 - (double)tokens / batches.Sum(b => b.Length * b.Max(s => lengths[s])), 4), get_num_threads(),
                Math.Round(medians[0], 1), Math.Round(medians[1], 1), Math.Round(tokens / medians[0] * 1000), Math.Round(tokens / medians[1] * 1000), Math.Round(medians[1] / medians[0], 3));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        void Capture()
        {
            var places = Enumerable.Range(0, layers).Select(l => (HookPoint.ResidPost, l)).Prepend((HookPoint.Embed, -1)).ToArray();
            var files = places.ToDictionary(p => p, p => new ActivationWriter(Path.Combine(folder.FullName, $"{p.Item2}.f32"), tokens, d));
            var capture = new ActivationCapture(model, places);
            Passes.Run(model, batches.Count, Environment.ProcessorCount, number =>
                capture.Run([.. batches[number].Select(s => new ReadOnlyMemory<int>(sequences[s]))], (place, i, rows) => files[place].Write(starts[batches[number][i]], rows)));
            foreach (var file in files.Values)
                file.Dispose();
        }

        void Gemms()
        {
            foreach (var batch in batches)
            {
                using var scope = NewDisposeScope();
                var rows = batch.Sum(s => lengths[s]);
                foreach (var matrix in matrices)
                    nn.functional.linear(inputs[matrix.shape[1]].narrow(0, 0, rows), matrix).Dispose(); // [rows, in] to [rows, out]
            }
        }
    }

    /// <summary>Contexts as a treebank's documents give them: some full, most the rest of a document, of any length.</summary>
    private static List<int[]> Documents(int contextLength, int tokens, int vocabulary)
    {
        var random = new Random(1);
        var sequences = new List<int[]>();
        for (var have = 0; have < tokens;)
        {
            var length = random.Next(3) == 0 ? contextLength : random.Next(8, contextLength);
            sequences.Add([.. Enumerable.Range(0, length).Select(_ => random.Next(vocabulary))]);
            have += length;
        }
        return sequences;
    }
}
