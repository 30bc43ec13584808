using SaeService.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace SaeService.Transformers;

/// <summary>Which weights are in memory while a model is loaded.</summary>
public enum LoadMode
{
    /// <summary>All of them.</summary>
    Resident,

    /// <summary>Those outside the blocks, and of the blocks the one that runs: read when it starts, freed when it ends. The results are the same.</summary>
    LayerByLayer,
}

/// <summary>The tensors of a model by name, in the order in which the family lists them.</summary>
public sealed class ParameterSet : IDisposable
{
    // Elements written at a time: a span holds less than 2 GiB.
    private const long Piece = 1 << 26;

    private readonly OrderedDictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);
    private readonly StoredTensors? _stored;
    private readonly Func<TensorSpec, Tensor>? _read;
    private readonly ILookup<int, TensorSpec>? _blocks;
    private SharedBlocks? _shared;

    private ParameterSet(ScalarType dtype, Device device, StoredTensors? stored = null, Func<TensorSpec, Tensor>? read = null,
        ILookup<int, TensorSpec>? blocks = null)
    {
        (DType, Device) = (dtype, device);
        (_stored, _read, _blocks) = (stored, read, blocks);
    }

    public ScalarType DType { get; }

    public Device Device { get; }

    internal bool IsResident => _blocks is null;

    /// <summary>Those that are in memory.</summary>
    public IEnumerable<(string Name, Tensor Value)> All => _tensors.Select(t => (t.Key, t.Value));

    public Tensor this[string name] => _tensors[name];

    /// <summary>Those whose names start with the prefix, by the rest of their names.</summary>
    internal Weights At(string prefix) => new(_tensors, prefix);

    /// <summary>Reads the tensors of a checkpoint.</summary>
    /// <param name="stored">The checkpoint, checked; owned from here on.</param>
    /// <param name="specs">What the family needs.</param>
    /// <param name="dtype">What they are converted to.</param>
    /// <param name="device">Where they go.</param>
    /// <param name="mode">Whether to read the blocks' tensors now.</param>
    /// <param name="untrained">What to have instead of the trained weights.</param>
    internal static ParameterSet Load(StoredTensors stored, IReadOnlyList<TensorSpec> specs, ScalarType dtype, Device device, LoadMode mode,
        FreshTensors? untrained = null)
    {
        var lazy = mode == LoadMode.LayerByLayer;
        Func<TensorSpec, Tensor> read = untrained is null
            ? spec => stored.Read(spec, dtype, device)
            : spec => untrained.Of(spec, stored, dtype, device);
        var set = new ParameterSet(dtype, device, stored, read, lazy ? specs.Where(s => s.Block is not null).ToLookup(s => s.Block!.Value) : null);
        try
        {
            foreach (var spec in specs.Where(s => s.Block is null || !lazy))
                set._tensors.Add(spec.Name, read(spec));
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>Fresh tensors that require gradients.</summary>
    internal static ParameterSet Create(IReadOnlyList<TensorSpec> specs, FreshTensors fresh, Device device)
    {
        var set = new ParameterSet(ScalarType.Float32, device);
        foreach (var spec in specs)
        {
            using var scope = NewDisposeScope();
            // A Parameter, which is what TorchSharp's optimizers take.
            set._tensors.Add(spec.Name, new Parameter(fresh.Drawn(spec).to(device), requires_grad: true).DetachFromDisposeScope());
        }
        return set;
    }

    /// <summary>Has the block's tensors in memory until the result is disposed; null where all are there anyway, or where it is shared.</summary>
    internal IDisposable? Hold(int block)
    {
        if (_blocks is null)
            return null;
        if (_shared is null)
            return Read(block);
        _shared.Enter(block);
        return null;
    }

    /// <summary>Until the result is disposed, a block is held for so many passes at once; null where all are in memory anyway.</summary>
    internal SharedBlocks? Share(int passes)
    {
        if (_blocks is null)
            return null;
        return _shared = new SharedBlocks(passes, Read, () => _shared = null);
    }

    private HeldBlock Read(int block)
    {
        var held = new HeldBlock(_tensors, [.. _blocks![block].Select(s => s.Name)]);
        try
        {
            foreach (var spec in _blocks[block])
                _tensors.Add(spec.Name, _read!(spec));
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private sealed class HeldBlock(OrderedDictionary<string, Tensor> tensors, string[] names) : IDisposable
    {
        public void Dispose()
        {
            foreach (var name in names)
                if (tensors.Remove(name, out var tensor))
                    tensor.Dispose();
        }
    }

    /// <summary>Writes all tensors in memory as float32 safetensors.</summary>
    public void Save(string path) =>
        SafetensorsWriter.Write(path, _tensors.Select(t => new TensorSource(t.Key, DType_F32, t.Value.shape, stream => Write(t.Value, stream))),
            new Dictionary<string, string> { ["format"] = "pt" });

    public void Dispose()
    {
        foreach (var tensor in _tensors.Values)
            tensor.Dispose();
        _stored?.Dispose();
    }

    private const DType DType_F32 = Checkpoints.DType.F32;

    private static void Write(Tensor value, Stream stream)
    {
        using var scope = NewDisposeScope();
        var flat = value.detach().cpu().to(ScalarType.Float32).contiguous().view(-1);
        for (long at = 0; at < flat.shape[0]; at += Piece)
            stream.Write(flat.narrow(0, at, Math.Min(Piece, flat.shape[0] - at)).bytes);
    }
}

/// <summary>The tensors of one part of a model, and the layers they make. A layer has a bias if the family listed one.</summary>
internal readonly struct Weights(IReadOnlyDictionary<string, Tensor> tensors, string prefix)
{
    public Tensor this[string name] => tensors[prefix + name];

    public Tensor? Find(string name) => tensors.GetValueOrDefault(prefix + name);

    /// <summary>x W^T + b: [.., in] to [.., out], from weight [out, in].</summary>
    public Tensor Linear(string name, Tensor x) => linear(x, this[$"{name}.weight"], Find($"{name}.bias"));

    /// <summary>x W + b: [.., in] to [.., out], from weight [in, out].</summary>
    public Tensor Conv1D(string name, Tensor x) => linear(x, this[$"{name}.weight"].t(), Find($"{name}.bias"));

    /// <summary>(x - mean) / sqrt(variance + eps) * weight + bias over the last dimension (Ba et al. 2016).</summary>
    public Tensor LayerNorm(string name, Tensor x, double eps) => layer_norm(x, [x.shape[^1]], Find($"{name}.weight"), Find($"{name}.bias"), eps);
}
