using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// What may be among the k largest of each row of a block, while its screened values stream by in ascending latent order. A row holds what lies
/// above its threshold. When its buffer is full, the k-th largest value seen is found: the k latents from there up are at most the bound lower
/// in truth, and anything further than twice the bound below can not reach them, now or later, so that is the new threshold.
/// </summary>
internal sealed unsafe class Candidates
{
    private const int Room = 16;   // that a look at a tile may need
    private readonly int _k, _capacity;
    private readonly AlignedBuffer<float> _values, _thresholds, _bounds;
    private readonly AlignedBuffer<int> _latents, _counts;

    public Candidates(int rows, int k)
    {
        _k = k;
        _capacity = CapacityFor(k);
        _values = new((long)rows * _capacity);
        _latents = new((long)rows * _capacity);
        _counts = new(rows);
        _thresholds = new(rows + Vector256<float>.Count);   // which are read eight at a time
        _bounds = new(rows);
    }

    /// <summary>Candidates that a row has room for.</summary>
    public static int CapacityFor(int k) => ((3 * k) + 64 + Room + 7) & ~7;

    /// <param name="row">Of the block.</param>
    /// <param name="least">Only latents that are in truth above this are asked for; at least 0.</param>
    /// <param name="bound">A screened value is at most this far from the truth.</param>
    public void Clear(int row, float least, float bound)
    {
        if (float.IsPositiveInfinity(bound))
        {
            Ignore(row);
            return;
        }
        _counts.Pointer[row] = 0;
        _thresholds.Pointer[row] = least - bound;
        _bounds.Pointer[row] = bound;
    }

    /// <summary>Asks nothing of a row: one that is padding, or that there is no telling about.</summary>
    public void Ignore(int row)
    {
        _counts.Pointer[row] = 0;
        _thresholds.Pointer[row] = float.PositiveInfinity;
    }

    /// <summary>[rows]: what a screened value must be above to be looked at.</summary>
    public float* Thresholds => _thresholds.Pointer;

    /// <summary>Looks at sixteen screened values of a row, of the latents from <paramref name="firstLatent"/> on.</summary>
    public void Look(int row, Vector256<float> low, Vector256<float> high, int firstLatent)
    {
        var threshold = Vector256.Create(_thresholds.Pointer[row]);
        uint ofLow = Vector256.GreaterThan(low, threshold).ExtractMostSignificantBits(), ofHigh = Vector256.GreaterThan(high, threshold).ExtractMostSignificantBits();
        if ((ofLow | ofHigh) == 0)
            return;
        var n = _counts.Pointer[row];
        var values = _values.Pointer + ((long)row * _capacity) + n;
        var latents = _latents.Pointer + ((long)row * _capacity) + n;
        // The truth is only asked for above 0, to which what lies below is nearer than it seems; and numbers from 0 up order as their bits do.
        (low, high) = (Vector256.Max(low, Vector256<float>.Zero), Vector256.Max(high, Vector256<float>.Zero));
        var first = Vector256.Create(0, 1, 2, 3, 4, 5, 6, 7) + Vector256.Create(firstLatent);
        var some = Sieve.Put(low, first, ofLow, values, latents);
        some += Sieve.Put(high, first + Vector256.Create(8), ofHigh, values + some, latents + some);
        _counts.Pointer[row] = n += some;
        if (n > _capacity - Room)
            Narrow(row, exactly: false);
    }

    /// <summary>Leaves what may be among the k largest; false where there was too much of that to keep, so that latents are missing.</summary>
    public bool TryNarrow(int row)
    {
        if (float.IsPositiveInfinity(_thresholds.Pointer[row]))
            return false;
        Narrow(row, exactly: true);
        return true;
    }

    public int Count(int row) => _counts.Pointer[row];

    /// <summary>[capacity], ascending; as many as <see cref="Count"/> says.</summary>
    public int* Latents(int row) => _latents.Pointer + ((long)row * _capacity);

    /// <summary>[capacity], from 0 up, beside <see cref="Latents"/>.</summary>
    public float* Values(int row) => _values.Pointer + ((long)row * _capacity);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Narrow(int row, bool exactly)
    {
        var (n, start) = (_counts.Pointer[row], (long)row * _capacity);
        if (n <= _k)
            return;
        var values = _values.Pointer + start;
        var latents = _latents.Pointer + start;
        var kth = TopK.LowerBoundOfKth(values, n, _k, exactly ? 0 : _k / 4);
        var threshold = kth - (2 * _bounds.Pointer[row]);
        var kept = Sieve.NotBelow(values, latents, n, threshold);
        _counts.Pointer[row] = kept;
        if (kept > (_capacity - Room) * 7 / 8 && !exactly)
            // As good as equal, too many of them: whoever takes the row computes it whole.
            Ignore(row);
        else
            _thresholds.Pointer[row] = MathF.Max(_thresholds.Pointer[row], threshold);
    }
}
