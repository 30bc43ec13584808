using SaeService.Transformers.Parts;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>
/// Which latents some tokens chose, as a list: row, latent (a position among those that could be chosen) and value, by rows. A value of 0 is none.
/// </summary>
/// <param name="Row">[N], int64, ascending.</param>
/// <param name="Latent">[N], int64.</param>
/// <param name="Value">[N], at least 0.</param>
internal readonly record struct Chosen(Tensor Row, Tensor Latent, Tensor Value);

/// <summary>
/// The entries of some latents, in both orders: by rows, for reconstructions and products with their errors, and by latents, for gradients.
/// </summary>
internal sealed class Entries
{
    // A gathered product moves eight times its two rows through memory; a dense one of these many latents for each that is wanted costs about as much.
    private const int DenseShare = 64;

    // Floats of what is gathered at a time on a CPU: what its caches hold, and its allocator keeps. A GPU wants larger pieces.
    private const long CpuGather = 1 << 18;
    private readonly Tensor _row, _position, _latent, _value;   // [N], by rows
    private readonly Tensor _order;                             // [N], by latents
    private readonly Bags _rows, _latents;
    private readonly Tensor _decoder;                           // [L, d]
    private readonly long _chunk;
    private readonly bool _dense;

    /// <param name="chosen">By position among the latents.</param>
    /// <param name="rows">Tokens.</param>
    /// <param name="latent">[L], int64: which latent has a position; absent: they are the ones from <paramref name="first"/> on.</param>
    /// <param name="decoder">Of all latents, [F, d].</param>
    /// <param name="chunk">Floats of a temporary, about.</param>
    public Entries(Chosen chosen, long rows, long first, long count, Tensor? latent, Tensor decoder, long chunk)
    {
        (_row, _position, _value, _chunk) = (chosen.Row, chosen.Latent, chosen.Value, chunk);
        (First, Names) = (first, latent);
        _latent = latent is null ? _position + first : latent.index_select(0, _position);
        _decoder = decoder;
        (Tensor sorted, _order) = _position.sort(0, descending: false, stable: true);
        Count = count;
        _dense = count * rows <= DenseShare * _row.numel();
        var width = decoder.shape[1];
        _rows = new(_row, rows, chunk / (_dense ? Math.Max(count, width) : width));
        _latents = new(sorted, count, chunk / width);
    }

    /// <summary>First latent, where they are a range.</summary>
    public long First { get; }

    /// <summary>Which latents they are, where they are not a range.</summary>
    public Tensor? Names { get; }

    /// <summary>L, how many could be chosen.</summary>
    public long Count { get; }

    /// <summary>Each token's sum of a W_dec, [some rows, d] at a time.</summary>
    public void Decode(BagTable decoder, Action<long, Tensor> take) => _rows.Sum(decoder, _latent, _value, take);

    /// <summary>⟨error of its row, decoder row of its latent⟩ times <paramref name="factor"/> for each entry above 0, [N], by rows.</summary>
    /// <param name="errors">[B, d]</param>
    /// <param name="scratch">At least as many floats as the chunk, or as a row's latents.</param>
    private Tensor Products(Tensor errors, float factor, Tensor scratch)
    {
        var products = empty_like(_value);
        if (_dense)
        {
            using var scope = NewDisposeScope();
            var decoder = (Names is null ? _decoder.narrow(0, First, Count) : _decoder.index_select(0, Names)).t();   // [d, L]
            foreach (var (first, rows, start, end) in _rows.Chunks.Where(c => c.End > c.Start))
            {
                using var inner = NewDisposeScope();
                var all = scratch.narrow(0, 0, rows * Count);
                all.view(rows, Count).addmm_(errors.narrow(0, first, rows), decoder, 0, 1);
                var at = _row.narrow(0, start, end - start).sub(Scalars.Of((long)first)).mul_(Scalars.Of((long)Count)).PlusInPlace(_position.narrow(0, start, end - start));
                products.narrow(0, start, end - start).copy_(all.index_select(0, at));
            }
        }
        else
        {
            var floats = errors.device_type == DeviceType.CPU ? Math.Min(CpuGather, _chunk) : _chunk;
            var (entries, size) = (_row.numel(), Math.Max(1, floats / _decoder.shape[1]));
            for (var start = 0L; start < entries; start += size)
            {
                using var inner = NewDisposeScope();
                var some = Math.Min(size, entries - start);
                var error = errors.index_select(0, _row.narrow(0, start, some));                                      // [some, d]
                products.narrow(0, start, some).copy_(error.mul_(_decoder.index_select(0, _latent.narrow(0, start, some))).sum(1));
            }
        }
        using Scalar times = factor;
        return products.mul_(times).masked_fill_(_value.le(Scalars.Of(0L)), Scalars.Of(0L));
    }

    /// <summary>
    /// dL/dW_dec[f] = sum a g, dL/da = ⟨g, W_dec[f]⟩, dL/dW_enc[f] = sum dL/da x and dL/db_enc[f] = sum dL/da, with g = <paramref name="factor"/> errors.
    /// Takes get the first position and the sums of some latents.
    /// </summary>
    public void Backward(Tensor errors, BagTable errorTable, BagTable xTable, BagTable one, float factor, Tensor scratch,
        Action<long, Tensor> decoder, Action<long, Tensor> encoder, Action<long, Tensor> bias)
    {
        using var scope = NewDisposeScope();
        var products = Products(errors, factor, scratch).index_select(0, _order);
        var row = _row.index_select(0, _order);
        using Scalar times = factor;
        _latents.Sum(errorTable, row, _value.index_select(0, _order).mul_(times), decoder);
        _latents.Sum(xTable, row, products, encoder);
        _latents.Sum(one, zeros_like(row), products, (first, sums) => bias(first, sums.squeeze(1)));
    }
}
