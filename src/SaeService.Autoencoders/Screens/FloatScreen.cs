using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector128<float>;

namespace SaeService.Autoencoders.Screens;

/// <summary>The screen of processors without wide 16-bit products: float32, in vectors of four, which Arm64 has and everything else can do one by one.</summary>
internal sealed unsafe class FloatScreen(int d, int maxLatents) : Screen(d, maxLatents, 4, 16)
{
    private readonly AlignedBuffer<float> _panels = new((long)(maxLatents + 15) / 16 * 16 * d); // [panels][d][16]

    // [tiles][d][tileRows]
    public override long BlockBytes(int tiles) => (long)tiles * TileRows * D * sizeof(float);

    // A chain over d here; a chain over d / 16, the sum of the sixteen chains and the bias there.
    protected override int RoundedProducts => D + (D / 16) + 16;

    protected override (float Norm, float Error) PackLatent(float* w, int panel, int column) =>
        Copy(w, _panels.Pointer + (long)panel * TileLatents * D + column, TileLatents);

    protected override (float Norm, float Error) PackRowInto(float* x, byte* block, int tiles, int row)
    {
        var (tile, at) = Math.DivRem(row, TileRows);
        return Copy(x, Tile(block, tile) + at, TileRows);
    }

    public override void Sift(byte* block, int tiles, int rows, int panel, Candidates candidates)
    {
        var values = stackalloc float[TileRows * TileLatents];
        for (var tile = 0; tile < tiles; tile++)
        {
            Multiply(Tile(block, tile), panel, values);
            for (var r = 0; r < Math.Min(TileRows, rows - (tile * TileRows)); r++)
                candidates.Look(tile * TileRows + r, Vector256.Load(values + (r * TileLatents)), Vector256.Load(values + (r * TileLatents) + 8), panel * TileLatents);
        }
    }

    private float* Tile(byte* block, int tile) => (float*)block + ((long)tile * TileRows * D);

    private (float Norm, float Error) Copy(float* x, float* target, int step)
    {
        for (var j = 0; j < D; j++, target += step)
            *target = x == null ? 0 : x[j];
        if (x == null)
            return (0, 0);
        var square = RowKernel.Dot(x, x, D);
        return (square >= SmallestSquare ? MathF.Sqrt(square) : RowKernel.MaxAbs(x, D) * MathF.Sqrt(D), 0);
    }

    /// <summary>tile[r, c] = nearly ⟨row r, latent c of the panel⟩ + bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Multiply(float* x, int panel, float* tile)
    {
        float* w = _panels.Pointer + (long)panel * TileLatents * D, bias = Bias.Pointer + panel * TileLatents;
        V a0 = Vector128.Load(bias), b0 = Vector128.Load(bias + 4), c0 = Vector128.Load(bias + 8), d0 = Vector128.Load(bias + 12);
        V a1 = a0, b1 = b0, c1 = c0, d1 = d0, a2 = a0, b2 = b0, c2 = c0, d2 = d0, a3 = a0, b3 = b0, c3 = c0, d3 = d0;
        for (var j = 0; j < D; j++, x += 4, w += 16)
        {
            V p = Vector128.Load(w), q = Vector128.Load(w + 4), r = Vector128.Load(w + 8), s = Vector128.Load(w + 12), v;
            v = Vector128.Create(x[0]);
            a0 = Vector128.FusedMultiplyAdd(v, p, a0); b0 = Vector128.FusedMultiplyAdd(v, q, b0); c0 = Vector128.FusedMultiplyAdd(v, r, c0); d0 = Vector128.FusedMultiplyAdd(v, s, d0);
            v = Vector128.Create(x[1]);
            a1 = Vector128.FusedMultiplyAdd(v, p, a1); b1 = Vector128.FusedMultiplyAdd(v, q, b1); c1 = Vector128.FusedMultiplyAdd(v, r, c1); d1 = Vector128.FusedMultiplyAdd(v, s, d1);
            v = Vector128.Create(x[2]);
            a2 = Vector128.FusedMultiplyAdd(v, p, a2); b2 = Vector128.FusedMultiplyAdd(v, q, b2); c2 = Vector128.FusedMultiplyAdd(v, r, c2); d2 = Vector128.FusedMultiplyAdd(v, s, d2);
            v = Vector128.Create(x[3]);
            a3 = Vector128.FusedMultiplyAdd(v, p, a3); b3 = Vector128.FusedMultiplyAdd(v, q, b3); c3 = Vector128.FusedMultiplyAdd(v, r, c3); d3 = Vector128.FusedMultiplyAdd(v, s, d3);
        }
        a0.Store(tile); b0.Store(tile + 4); c0.Store(tile + 8); d0.Store(tile + 12); a1.Store(tile + 16); b1.Store(tile + 20); c1.Store(tile + 24); d1.Store(tile + 28);
        a2.Store(tile + 32); b2.Store(tile + 36); c2.Store(tile + 40); d2.Store(tile + 44); a3.Store(tile + 48); b3.Store(tile + 52); c3.Store(tile + 56); d3.Store(tile + 60);
    }
}
