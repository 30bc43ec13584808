using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Estimates;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.Transformers;

namespace SaeService.Pipeline.Stages;

/// <summary>Model and data set by name to files with hashes; text to contexts of tokens with the words aligned on them.</summary>
internal static class PrepareStage
{
    public static StageOutput Run(StageContext context)
    {
        var request = context.Request;
        context.Progress(0, message: "opening the model");
        using var fetched = context.OpenModel(upTo: 0.4);
        context.Progress(0.4, message: "hashing the model");
        var folder = ModelFolder.Open(fetched.Path);
        // Every tensor's name, shape and type, and every switch of the config, before hours are spent.
        LanguageModel.Check(folder, Hooks.PointOf(request.Hook!));
        var tokenizer = Tokenizer.Load(folder.Path);
        if (tokenizer.VocabularySize > folder.Description.VocabularySize)
            throw new ProblemException(ProblemCodes.InvalidModel,
                $"The tokenizer has {tokenizer.VocabularySize} tokens, the model's embedding {folder.Description.VocabularySize} rows.", "$.model.id");
        var hashes = folder.Hashes();
        var model = new ModelProvenance(request.Model.Id, request.Model.Revision, folder.Description.Family, folder.Description.Type, folder.Description.Layers,
            folder.Description.DModel, request.Hook!, [.. hashes.Select(h => new FileHash(h.Key, folder.Files.First(f => f.Name == h.Key).Bytes, h.Value))],
            fetched.Licence);

        var sized = request;
        if (Pretrained.IsAsked(request))
        {
            var (dSae, k) = Pretrained.Check(context, folder.Description.DModel, from: 0.42, upTo: 0.45);
            sized = request with { Sae = request.Sae! with { DSae = dSae, K = k > 0 ? k : null } };
        }

        using var fetchedData = context.FetchDataset(from: 0.45, upTo: 0.5);
        context.Progress(0.5, message: "reading and aligning the data set");
        var dataset = fetchedData is null ? OpenDataset(context, request.Dataset.Id, "$.dataset.id") : DatasetFolder.Open(fetchedData.Path);
        var extra = request.Dataset.ExtraText is { } named ? OpenDataset(context, named, "$.dataset.extra_text") : null;
        var splits = request.Dataset.Split?.Split('+');
        PackedCorpus? corpus = null;
        var alignment = context.Write(Artifacts.Alignment, stream =>
        {
            using var list = new AlignmentList(stream);
            corpus = CorpusPacker.Pack(
                dataset.Read(splits, new ReadSettings { Tasks = request.Tasks }),
                Packing.Tokenise(tokenizer),
                Packing.Of(request, tokenizer) with
                {
                    Tasks = request.Tasks,
                    MaxWords = request.Dataset.MaxWords!.Value,
                    MaxTextTokens = request.Dataset.ExtraTokens ?? 0,
                },
                context.Interrupted,
                extra?.Read(settings: new ReadSettings { Tasks = [] }),
                list.Add,
                context.Scratch);
        });
        context.Progress(0.8, message: "writing the corpus");

        var report = corpus!.Report;
        var estimate = Estimate(context, sized, folder, corpus);
        if (JobEstimator.Refusal(estimate, context.Worker.LimitsAt(context.Store.Root)) is { } refusal)
            throw new ProblemException(ProblemCodes.InsufficientResources, refusal);
        var used = dataset.Files.Where(f => splits is null || splits.Contains(f.Split)).Concat(extra?.Files ?? []);
        var data = new DataProvenance(request.Dataset.Id, [.. used.Select(f => new FileHash(f.Name, f.Bytes, f.ComputeSha256()))], report.Split, report.SplitSha256,
            report.ReconstructedSentences == 0 ? "original" : report.ReconstructedSentences == report.Sentences ? "reconstructed" : $"reconstructed in {report.ReconstructedSentences} sentences",
            request.Dataset.Revision, fetchedData?.Licence);
        var inputs = new PreparedInputs
        {
            Model = model,
            Data = data,
            Counts = new(report.Documents, report.Sentences, report.Words, report.Tokens, report.Aligned, report.AmbiguousDropped, report.UnalignedDropped, report.MultiwordDropped,
                report.TruncatedDropped, report.TooManyPiecesDropped, report.FirstPositionDropped, report.ReconstructedSentences, report.StoppedAtMaxWords),
            SentencesAsDocuments = report.SplitBySentence,
        };
        var split = new SplitExport(report.Split, report.SplitSha256,
            [.. corpus.DocumentIds.Select((id, d) => new SplitEntry(id, ((Part)corpus.DocumentPart[d]).ToString().ToLowerInvariant()))]);
        return new StageOutput(
        [
            context.Write(Artifacts.Corpus, corpus.Save),
            alignment,
            context.Write(Artifacts.Split, stream => Inputs.WriteJson(stream, split)),
            context.Write(Artifacts.Provenance, stream => Inputs.WriteJson(stream, inputs)),
        ], async (db, ct) =>
        {
            var json = JsonSerializer.Serialize(estimate, Wire.Json);
            await db.Jobs.Where(j => j.Id == context.JobId).ExecuteUpdateAsync(set => set.SetProperty(j => j.EstimateJson, json), ct);
        });
    }

    /// <summary>What the job needs, now that its tokens are counted, on a machine like this worker's.</summary>
    /// <param name="request">With the size of autoencoders that it only names.</param>
    private static JobEstimate Estimate(StageContext context, JobRequest request, ModelFolder folder, PackedCorpus corpus)
    {
        using var db = context.OpenDatabase();
        var model = folder.Description;
        return JobEstimator.Of(new JobSize
        {
            Request = request,
            Model = new(model.Layers, model.DModel, model.VocabularySize, model.Parameters, model.Parameters * folder.StoredType.Size()),
            Layers = context.Layers.Count,
            Tokens = corpus.TokenIds.Length,
            Words = corpus.Words,
            Documents = corpus.DocumentIds.Length,
            Labels = [.. corpus.Tasks.Select(t => t.Labels.Length)],
        }, context.Worker.Shape with { BytesPerParameter = (int)(context.Worker.ModelBytes(folder) / model.Parameters) }, StagePaces.ReadAsync(db, context.Interrupted).GetAwaiter().GetResult());
    }

    /// <summary>An upload of the job's own key, or a name under the operator's folders.</summary>
    private static DatasetFolder OpenDataset(StageContext context, string id, string field)
    {
        using var db = context.OpenDatabase();
        var owner = db.Jobs.Where(j => j.Id == context.JobId).Select(j => j.ApiKeyId).Single();
        var key = db.Datasets.Where(d => d.Name == id && d.ApiKeyId == owner).Select(d => d.Key).SingleOrDefault();
        try
        {
            return DatasetFolder.Open(key is null ? context.Roots.Datasets.Resolve(id) : context.Store.Path(key));
        }
        catch (RootedPathException e)
        {
            throw new ProblemException(e.Fault == RootedPathFault.Outside ? ProblemCodes.DatasetOutsideRoots : ProblemCodes.UnknownDataset, e.Message, field, e);
        }
    }
}
