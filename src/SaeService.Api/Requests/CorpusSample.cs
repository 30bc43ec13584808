using System.Collections.Concurrent;
using SaeService.Api.Access;
using SaeService.Api.Datasets;
using SaeService.Api.Models;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Sources;

namespace SaeService.Api.Requests;

/// <param name="TokensPerWord">Sub-word tokens, special ones left out.</param>
/// <param name="TokensPerByte">The same, by bytes of text.</param>
/// <param name="SpecialTokens">Of a context.</param>
/// <param name="SplitShare">Of the data set's bytes, those of the splits asked for.</param>
public sealed record CorpusDensity(double TokensPerWord, double TokensPerByte, int SpecialTokens, double SplitShare);

/// <summary>How many tokens a model's tokenizer makes of a data set: from the first sentences of it, where both are here.</summary>
public sealed class CorpusSample(ModelCatalogue models, DatasetCatalogue datasets)
{
    private const int Words = 20_000;

    // For as long as the service runs: a data set that is replaced is of the same kind.
    private readonly ConcurrentDictionary<(string Model, string Dataset, long Bytes, string Split), CorpusDensity> _seen = new();

    /// <returns>Null where the model or the data set has to be fetched first.</returns>
    /// <exception cref="ProblemException">invalid_model, unsupported_model or model_outside_roots: the model's tokenizer can not be used.</exception>
    public async Task<CorpusDensity?> OfAsync(Model model, Dataset dataset, string split, Caller caller, CancellationToken ct)
    {
        var key = (model.Id, dataset.Id, dataset.Bytes, split);
        if (_seen.TryGetValue(key, out var known))
            return known;
        if (models.FolderOf(model) is not { } folder || await datasets.OpenAsync(dataset, caller, ct) is not { } data)
            return null;
        return _seen[key] = await Task.Run(() => Read(folder, data, split.Split('+'), ct), ct);
    }

    private static CorpusDensity Read(string folder, DatasetFolder data, string[] splits, CancellationToken ct)
    {
        Tokenizer tokenizer;
        try
        {
            tokenizer = Tokenizer.Load(folder);
        }
        catch (CheckpointException e)
        {
            throw new ProblemException(SourceProblems.CodeOf(e.Fault), e.Message, "$.model.id", e);
        }
        long words = 0, tokens = 0, bytes = 0;
        foreach (var sentence in data.Read(splits, new ReadSettings { Tasks = [] }))
        {
            ct.ThrowIfCancellationRequested();
            words += sentence.Words.Length;
            tokens += tokenizer.Encode(sentence.Text, addSpecialTokens: false).Ids.Length;
            bytes += System.Text.Encoding.UTF8.GetByteCount(sentence.Text);
            if (words >= Words || bytes > Words * 20)
                break;
        }
        var asked = data.Files.Where(file => splits.Contains(file.Split)).Sum(file => file.Bytes);
        return new((double)tokens / Math.Max(1, words), (double)tokens / Math.Max(1, bytes), tokenizer.Prefix.Count + tokenizer.Suffix.Count,
            (double)asked / Math.Max(1, data.Bytes));
    }
}
