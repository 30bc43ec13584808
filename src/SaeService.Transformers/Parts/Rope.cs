using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

/// <summary>
/// Rotary position embedding (Su et al. 2021) in the half-split form of transformers' rotate_half: coordinates i and i + r/2 of the first r turn together.
/// The angles are computed in double precision.
/// </summary>
/// <param name="frequencies">How fast which pair turns.</param>
/// <param name="headDim">dh; coordinates from r on do not turn.</param>
internal sealed class Rope(RopeFrequencies frequencies, int headDim) : IDisposable
{
    private readonly Lock _gate = new();
    private double[] _current = [];
    private Tensor? _cos; // [rows, 1, dh], both halves alike, 1 where nothing turns
    private Tensor? _sin; // [rows, 1, r / 2]

    /// <summary>Turns every head's vectors by their position 0 .. T-1.</summary>
    /// <param name="x">[B, T, H, dh]</param>
    public Tensor Apply(Tensor x)
    {
        var length = x.shape[1];
        var tables = Tables(length, x.dtype, x.device);
        using var cos = tables.Cos;
        using var sin = tables.Sin;
        var half = sin.shape[2];
        if (half == 0)
            return x;
        var y = x * cos;
        // Written over the product, half by half, so that nothing else of this size is allocated.
        y.narrow(3, 0, half).addcmul_(x.narrow(3, half, half), sin, Scalars.Of(-1L));
        y.narrow(3, half, half).addcmul_(x.narrow(3, 0, half), sin, Scalars.Of(1L));
        return y;
    }

    /// <summary>Handles of the caller's own, since another pass that needs longer tables replaces these.</summary>
    private (Tensor Cos, Tensor Sin) Tables(long length, ScalarType dtype, Device device)
    {
        lock (_gate)
        {
            EnsureTables(length, dtype, device);
            return (_cos!.narrow(0, 0, length), _sin!.narrow(0, 0, length));
        }
    }

    private void EnsureTables(long length, ScalarType dtype, Device device)
    {
        var wanted = frequencies.At(length);
        if (_cos is not null && _cos.shape[0] >= length && _cos.dtype == dtype && wanted.AsSpan().SequenceEqual(_current))
            return;
        Dispose();
        _current = wanted;
        var half = wanted.Length;
        using var scope = NewDisposeScope();
        var angles = new double[length * half];
        for (var i = 0; i < angles.Length; i++)
            angles[i] = i / half * wanted[i % half];
        var cos = Table(Math.Cos);
        _cos = cat([cos, cos, ones([length, headDim - 2 * half], dtype, device)], 1).unsqueeze(1).DetachFromDisposeScope();
        _sin = Table(Math.Sin).unsqueeze(1).DetachFromDisposeScope();

        Tensor Table(Func<double, double> f) => tensor(Array.ConvertAll(angles, a => frequencies.Factor * f(a)), [length, half]).to(dtype, device);
    }

    public void Dispose()
    {
        _cos?.Dispose();
        _sin?.Dispose();
        (_cos, _sin) = (null, null);
    }
}
