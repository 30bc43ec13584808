namespace SaeService.Transformers;

/// <summary>How a tensor starts when a model is made rather than loaded.</summary>
public enum Init
{
    Normal,
    Ones,
    Zeros,

    /// <summary>Row t, columns 2i and 2i + 1: sin and cos of t / 10000^(2i / width) (Vaswani et al. 2017).</summary>
    Sinusoids,
}

/// <summary>A tensor that a family needs, by the name that checkpoints of that family give it.</summary>
/// <param name="Name">With the prefix of the model with head.</param>
/// <param name="Shape">As stored.</param>
/// <param name="Init">For a fresh model.</param>
/// <param name="Block">The block that uses it; null for those outside the blocks.</param>
/// <param name="Scale">Of a normal start: its deviation over that of the family's other tensors.</param>
public sealed record TensorSpec(string Name, long[] Shape, Init Init, int? Block = null, double Scale = 1)
{
    public long Elements => Shape.Aggregate(1L, (product, dimension) => checked(product * dimension));
}

/// <summary>The tensors of a family, written down in the order of the forward pass.</summary>
internal sealed class TensorList
{
    private readonly List<TensorSpec> _specs;
    private readonly string _prefix;
    private readonly int? _block;

    public TensorList() : this([], "", null)
    {
    }

    private TensorList(List<TensorSpec> specs, string prefix, int? block) => (_specs, _prefix, _block) = (specs, prefix, block);

    public IReadOnlyList<TensorSpec> Specs => _specs;

    /// <summary>The same list, for tensors of that block under that prefix.</summary>
    public TensorList Block(int block, string prefix) => new(_specs, prefix, block);

    /// <summary>The same list, for tensors outside the blocks under that prefix.</summary>
    public TensorList Outside(string prefix) => new(_specs, prefix, null);

    public void Add(string name, Init init, params long[] shape) => _specs.Add(new TensorSpec(_prefix + name, shape, init, _block));

    /// <summary>weight [rows, width]</summary>
    public void Table(string name, int rows, int width, Init init = Init.Normal) => Add($"{name}.weight", init, rows, width);

    /// <summary>weight [outputs, inputs] and bias [outputs]</summary>
    public void Linear(string name, int inputs, int outputs, bool bias = true)
    {
        Add($"{name}.weight", Init.Normal, outputs, inputs);
        if (bias)
            Add($"{name}.bias", Init.Zeros, outputs);
    }

    /// <summary>weight [inputs, outputs] and bias [outputs]: GPT-2's transposed kind.</summary>
    public void Conv1D(string name, int inputs, int outputs, double scale = 1)
    {
        _specs.Add(new TensorSpec($"{_prefix}{name}.weight", [inputs, outputs], Init.Normal, _block, scale));
        Add($"{name}.bias", Init.Zeros, outputs);
    }

    /// <summary>weight [width] and bias [width]</summary>
    public void LayerNorm(string name, int width)
    {
        Add($"{name}.weight", Init.Ones, width);
        Add($"{name}.bias", Init.Zeros, width);
    }

    /// <summary>weight [width]</summary>
    public void RmsNorm(string name, int width, bool unitOffset = false) => Add($"{name}.weight", unitOffset ? Init.Zeros : Init.Ones, width);
}
