using SaeService.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// The tensors of a checkpoint under the names that a family gives them. Creating it checks, before anything is allocated, that all that the family needs is
/// there with its shape and a floating type, and that nothing else is there but what no forward pass reads.
/// </summary>
internal sealed class StoredTensors : IDisposable
{
    // Elements copied at a time: a span holds less than 2 GiB.
    private const long Piece = 1 << 26;

    // Buffers that older transformers saved, and heads of tasks other than language modelling.
    private static readonly string[] Buffers =
        [".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq", "position_ids", "embeddings.token_type_ids"];
    private static readonly string[] TaskHeads = ["classifier.", "pre_classifier.", "qa_outputs.", "score.", "multiple_choice_head.", "v_head."];

    private readonly WeightSet _weights;
    private readonly Dictionary<string, string> _stored = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _maps = new(StringComparer.Ordinal);

    /// <exception cref="CheckpointException">Naming the file and the tensor.</exception>
    public StoredTensors(WeightSet weights, ModelPlan plan)
    {
        _weights = weights;
        var ties = plan.Ties.ToLookup(t => t.SameAs, t => t.Name);
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (var spec in plan.Tensors.Specs)
        {
            // Where it is nowhere, the message is to name the tensor as the file would: with the prefix, or without if it leaves out all of them.
            var name = NameOf(spec.Name, plan) ?? ties[spec.Name].Select(tie => NameOf(tie, plan)).FirstOrDefault(tie => tie is not null)
                ?? (IsBare(plan) && spec.Name.StartsWith(plan.Prefix, StringComparison.Ordinal) ? spec.Name[plan.Prefix.Length..] : spec.Name);
            Check(name, spec.Shape);
            _stored.Add(spec.Name, name);
            used.Add(name);
        }
        foreach (var (duplicate, of) in plan.Ties)
            if (_stored.TryGetValue(of, out var original) && NameOf(duplicate, plan) is { } name && used.Add(name))
                CheckEqual(name, original);
        if (weights.Names.Order(StringComparer.Ordinal).FirstOrDefault(name => !used.Contains(name) && !IsInert(name)) is { } surplus)
            throw new CheckpointException(CheckpointFault.Invalid, weights.FileOf(surplus).Path, surplus, "the config asks for no such tensor");
    }

    // The names that transformers' loader accepts for a tensor.
    private static IEnumerable<string> Spellings(string name, string prefix)
    {
        yield return name;
        if (name.StartsWith(prefix, StringComparison.Ordinal))
            yield return name[prefix.Length..];
        // BERT as converted from TensorFlow.
        if (name.EndsWith("LayerNorm.weight", StringComparison.Ordinal))
            foreach (var old in Spellings(name[..^"weight".Length] + "gamma", prefix))
                yield return old;
        else if (name.EndsWith("LayerNorm.bias", StringComparison.Ordinal))
            foreach (var old in Spellings(name[..^"bias".Length] + "beta", prefix))
                yield return old;
    }

    private string? NameOf(string name, ModelPlan plan) => Spellings(name, plan.Prefix).FirstOrDefault(_weights.Contains);

    private bool IsBare(ModelPlan plan) => !_weights.Names.Any(name => name.StartsWith(plan.Prefix, StringComparison.Ordinal));

    private static bool IsInert(string name) =>
        Buffers.Any(buffer => name.EndsWith(buffer, StringComparison.Ordinal)) || TaskHeads.Any(head => name.StartsWith(head, StringComparison.Ordinal));

    private void Check(string name, long[] shape)
    {
        var entry = _weights.Entry(name);
        if (!entry.DType.IsWeight())
            throw new CheckpointException(CheckpointFault.Invalid, _weights.FileOf(name).Path, name, $"is stored as {entry.DType}, not as F32, F16, BF16 or F64");
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
            throw new CheckpointException(CheckpointFault.Invalid, _weights.FileOf(name).Path, name,
                $"has shape {entry.ShapeText}, the config asks for {TensorEntry.TextOf(shape)}");
    }

    /// <summary>A tied tensor that is stored twice must be stored alike: which of two different ones counts depends on transformers' version.</summary>
    private void CheckEqual(string duplicate, string original)
    {
        var (a, b) = (_weights.Entry(duplicate), _weights.Entry(original));
        var same = a.DType == b.DType && a.Shape.AsSpan().SequenceEqual(b.Shape);
        for (long at = 0; same && at < a.Length; at += Piece)
        {
            var count = (int)Math.Min(Piece, a.Length - at);
            same = _weights.FileOf(duplicate).Bytes(duplicate, at, count).SequenceEqual(_weights.FileOf(original).Bytes(original, at, count));
        }
        if (!same)
            throw new CheckpointException(CheckpointFault.Invalid, _weights.FileOf(duplicate).Path, duplicate, $"differs from '{original}', to which the config ties it");
    }

    /// <summary>
    /// Reads a tensor. What is stored as it is computed with, float32 on the CPU, is not copied: it lies in the map of the file, and the system reads and
    /// drops its pages as it needs.
    /// </summary>
    public Tensor Read(TensorSpec spec, ScalarType dtype, Device device)
    {
        var name = _stored[spec.Name];
        var file = _weights.FileOf(name);
        if (dtype == ScalarType.Float32 && device.type == DeviceType.CPU && file.Tensors[name] is { DType: DType.F32 } entry && entry.Offset % sizeof(float) == 0)
            return Mapped(file, entry);
        using var scope = NewDisposeScope();
        return Copied(file, name).to(dtype, device).DetachFromDisposeScope();
    }

    private Tensor Mapped(SafetensorsFile file, TensorEntry entry)
    {
        using var scope = NewDisposeScope();
        if (!_maps.TryGetValue(file.Path, out var map))
            // Private: writing to a weight would not reach the file.
            _maps.Add(file.Path, map = from_file(file.Path, shared: false, size: file.Length / sizeof(float), dtype: ScalarType.Float32).DetachFromDisposeScope());
        return map.narrow(0, entry.Offset / sizeof(float), entry.Elements).view(entry.Shape).DetachFromDisposeScope();
    }

    /// <summary>A tensor of a file, in memory of its own and of the type it is stored as.</summary>
    public static Tensor Copied(SafetensorsFile file, string name)
    {
        var entry = file.Tensors[name];
        var stored = empty(entry.Shape, entry.DType switch
        {
            DType.BOOL => ScalarType.Bool,
            DType.U8 => ScalarType.Byte,
            DType.I8 => ScalarType.Int8,
            DType.I16 => ScalarType.Int16,
            DType.I32 => ScalarType.Int32,
            DType.I64 => ScalarType.Int64,
            DType.F16 => ScalarType.Float16,
            DType.BF16 => ScalarType.BFloat16,
            DType.F32 => ScalarType.Float32,
            DType.F64 => ScalarType.Float64,
            _ => throw new CheckpointException(CheckpointFault.Unsupported, file.Path, name, $"is stored as {entry.DType}, which is not read"),
        });
        using var flat = stored.view(-1);
        for (long at = 0; at < entry.Elements; at += Piece)
        {
            var count = Math.Min(Piece, entry.Elements - at);
            using var piece = flat.narrow(0, at, count);
            file.Bytes(name, at * entry.DType.Size(), (int)count * entry.DType.Size()).CopyTo(piece.bytes);
        }
        return stored;
    }

    public void Dispose()
    {
        foreach (var map in _maps.Values)
            map.Dispose();
        _weights.Dispose();
    }
}
