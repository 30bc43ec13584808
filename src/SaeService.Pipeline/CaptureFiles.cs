using System.Numerics.Tensors;
using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Storage;
using SaeService.Transformers;

namespace SaeService.Pipeline;

/// <summary>
/// What capture writes: every layer's vectors, row by row, and their norms. Contexts are captured in a fixed order, so that one number says which
/// rows are there; an attempt that follows one that died takes its files over and goes on from that number.
/// </summary>
internal sealed class CaptureFiles : IDisposable
{
    private const string Checkpoint = "checkpoint.json";

    private sealed record Progress(string Corpus, int Contexts);

    private readonly StageContext _context;
    private readonly PackedCorpus _corpus;
    private readonly int _dim;
    private readonly string _corpusKey;
    private readonly Dictionary<int, (ArtifactWriter File, ActivationWriter Rows, Column<float> Norms)> _layers = [];

    /// <summary>Tokens of each context.</summary>
    public int[] Lengths { get; }

    /// <summary>Contexts in the order of capture.</summary>
    public int[] Order { get; }

    /// <summary>How many of <see cref="Order"/> an earlier attempt had captured.</summary>
    public int Restored { get; private set; }

    public CaptureFiles(StageContext context, PackedCorpus corpus, int dim)
    {
        (_context, _corpus, _dim) = (context, corpus, dim);
        _corpusKey = context.PublishedKey(StageKind.Prepare, null, Artifacts.Corpus);
        Lengths = [.. Enumerable.Range(0, corpus.Contexts).Select(corpus.ContextLength)];
        Order = ActivationCapture.Order(Lengths);
        var before = TakeOver();
        Open();
        if (before > 0 && !TryRestore(before))
        {
            // Damaged: capturing from the start gives the same result, later.
            Discard();
            Open();
        }
    }

    /// <param name="rows">[length of the context, d]</param>
    public void Write(int layer, int context, ReadOnlySpan<float> rows)
    {
        _layers[layer].Rows.Write(_corpus.ContextStart[context], rows);
        Measure(layer, context, rows);
    }

    /// <param name="contexts">How many of <see cref="Order"/> are written at every layer.</param>
    public void SaveCheckpoint(int contexts)
    {
        foreach (var (_, rows, _) in _layers.Values)
            rows.Sync();
        _context.Write(Checkpoint, stream => Inputs.WriteJson(stream, new Progress(_corpusKey, contexts)));
    }

    /// <summary>Gives the files their names.</summary>
    /// <exception cref="InvalidOperationException">A row is missing.</exception>
    public IReadOnlyList<StoredArtifact> Complete()
    {
        var artifacts = new List<StoredArtifact>();
        foreach (var (file, rows, _) in _layers.Values)
        {
            rows.Complete();
            artifacts.Add(file.Complete());
        }
        var filters = _context.Create(Artifacts.Filters);
        NormFilters.From(_corpus, _layers.ToDictionary(x => x.Key, x => x.Value.Norms), _context.Scratch).Save(filters.TemporaryPath);
        artifacts.Add(filters.Complete());
        _context.Store.Delete(_context.Lease.KeyOf(Checkpoint));
        return artifacts;
    }

    /// <summary>Leaves nothing to go on from.</summary>
    public void Discard()
    {
        Dispose();
        _context.Store.Delete(_context.Lease.KeyOf(Checkpoint));
        foreach (var layer in _context.Layers)
            File.Delete(PartialPath(_context.Lease.KeyOf(Partial(layer))));
        Restored = 0;
    }

    public void Dispose()
    {
        foreach (var (_, rows, _) in _layers.Values)
            rows.Dispose();
    }

    private void Open()
    {
        foreach (var layer in _context.Layers)
        {
            var file = _context.Create(Artifacts.Activations(layer));
            var partial = PartialPath(_context.Lease.KeyOf(Partial(layer)));
            _layers[layer] = (file, new ActivationWriter(file.TemporaryPath, _corpus.TokenIds.Length, _dim, partial), _context.Scratch.New<float>(_corpus.TokenIds.Length));
        }
    }

    /// <summary>Moves the files of the attempt that wrote the newest checkpoint to this one.</summary>
    /// <returns>Contexts that they hold; 0 if there is nothing to go on from.</returns>
    private int TakeOver()
    {
        if (_context.Lease.FindCheckpoint(Checkpoint) is not { } key)
            return 0;
        try
        {
            var progress = Inputs.ReadJson<Progress>(_context.Store.Path(key));
            if (progress.Corpus != _corpusKey || progress.Contexts < 1 || progress.Contexts > Order.Length)
                return 0;
            var from = key[..^Checkpoint.Length];
            foreach (var layer in _context.Layers)
            {
                var partial = PartialPath(_context.Lease.KeyOf(Partial(layer)));
                var theirs = PartialPath(from + Partial(layer));
                if (theirs != partial)
                    File.Move(theirs, partial, overwrite: true);
                // Held open by an attempt that is frozen, not dead: it could still write to it.
                using var _ = File.OpenHandle(partial, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            }
            return progress.Contexts;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or JsonException)
        {
            foreach (var layer in _context.Layers)
                File.Delete(PartialPath(_context.Lease.KeyOf(Partial(layer))));
            return 0;
        }
    }

    private bool TryRestore(int contexts)
    {
        try
        {
            foreach (var (layer, (_, writer, _)) in _layers)
                foreach (var context in Order.AsSpan(0, contexts))
                {
                    var rows = new float[_corpus.ContextLength(context) * _dim];
                    writer.Restore(_corpus.ContextStart[context], rows);
                    Measure(layer, context, rows);
                }
            Restored = contexts;
            SaveCheckpoint(contexts);
            return true;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    private void Measure(int layer, int context, ReadOnlySpan<float> rows)
    {
        var (norms, start) = (_layers[layer].Norms, _corpus.ContextStart[context]);
        for (var j = 0; j < rows.Length / _dim; j++)
            norms[start + j] = TensorPrimitives.Norm(rows.Slice(j * _dim, _dim));
    }

    private static string Partial(int layer) => Artifacts.Activations(layer) + ".partial";

    private string PartialPath(string key)
    {
        var path = _context.Store.Path(key);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }
}
