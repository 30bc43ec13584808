using System.Runtime.Intrinsics.X86;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Pre-activations W x + b that are fast and nearly right, tile by tile, and how far from right they can be. Whoever wants the largest k keeps
/// what is within twice that bound of the k-th largest seen, and computes those few again: the result is exact, the screen decides only the
/// speed. Which screen there is depends on the processor; results do not.
/// </summary>
/// <param name="d">Width of a row, a multiple of 16.</param>
/// <param name="maxLatents">Most latents that will be packed.</param>
/// <param name="tileRows">Rows of a tile.</param>
/// <param name="tileLatents">Latents of a tile, which are one panel of packed weights.</param>
internal abstract unsafe class Screen(int d, int maxLatents, int tileRows, int tileLatents)
{
    /// <summary>Squared norms below are not told from 0: their sums of squares have lost digits.</summary>
    protected const float SmallestSquare = 1e-30f;

    /// <summary>Where one latent in so many is kept, computing all of them costs no more than screening.</summary>
    public const int DenseShare = 12;

    private const float HalfUlp = 1f / (1 << 24);

    private readonly (float Norm, float Error)[] _ofPanel = new (float, float)[(maxLatents + tileLatents - 1) / tileLatents];
    private float _maxNorm, _maxError, _maxBias;

    public int D { get; } = d;
    public int TileRows { get; } = tileRows;
    public int TileLatents { get; } = tileLatents;
    public int Latents { get; private set; }
    public int Panels => (Latents + TileLatents - 1) / TileLatents;

    /// <summary>[panels * tileLatents]; -infinity where there is no latent.</summary>
    protected AlignedBuffer<float> Bias { get; } = new((long)(maxLatents + tileLatents - 1) / tileLatents * tileLatents);

    /// <summary>What a block of so many tiles of packed rows takes, with what is made of them on the way.</summary>
    public abstract long BlockBytes(int tiles);

    public int TilesOf(int rows) => (rows + TileRows - 1) / TileRows;

    /// <summary>Tiles of a block that takes no more than so much; at least 1.</summary>
    public int TilesWithin(long bytes) => (int)Math.Max(1, (bytes - BlockBytes(0)) / (BlockBytes(1) - BlockBytes(0)));

    /// <summary>The fastest that this processor has, or one by name: <c>int16x512</c>, <c>int16x256</c>, <c>float</c>.</summary>
    public static Screen Create(int d, int maxLatents, string? name = null) => (name ?? Fastest) switch
    {
        "int16x512" when Avx512BW.IsSupported => new Int16Screen(d, maxLatents, 8, 32, &Int16Tile.Multiply8x32),
        "int16x256" when Avx2.IsSupported => new Int16Screen(d, maxLatents, 6, 16, &Int16Tile.Multiply6x16),
        "float" => new FloatScreen(d, maxLatents),
        var other => throw new PlatformNotSupportedException($"this processor has no screen '{other}'"),
    };

    public static string Fastest => Avx512BW.IsSupported ? "int16x512" : Avx2.IsSupported ? "int16x256" : "float";

    /// <summary>Takes over the latents of W [F, d] and b [F], or the selected ones, in their order.</summary>
    public void Pack(float* w, float* b, int count, int* selected, Lanes lanes)
    {
        const int PanelsInBlock = 4;
        Latents = count;
        lanes.For((Panels + PanelsInBlock - 1) / PanelsInBlock, (block, _) =>
        {
            for (var panel = block * PanelsInBlock; panel < Math.Min(Panels, (block + 1) * PanelsInBlock); panel++)
            {
                var (norm, error) = (0f, 0f);
                for (var column = 0; column < TileLatents; column++)
                {
                    var position = panel * TileLatents + column;
                    var latent = position >= count ? -1 : selected == null ? position : selected[position];
                    Bias.Pointer[position] = latent < 0 ? float.NegativeInfinity : b[latent];
                    var (n, e) = PackLatent(latent < 0 ? null : w + (long)latent * D, panel, column);
                    (norm, error) = (MathF.Max(norm, n), MathF.Max(error, e));
                }
                _ofPanel[panel] = (norm, error);
                PackedPanel(panel);
            }
        });
        (_maxNorm, _maxError, _maxBias) = (0, 0, 0);
        foreach (var (norm, error) in _ofPanel.AsSpan(0, Panels))
            (_maxNorm, _maxError) = (MathF.Max(_maxNorm, norm), MathF.Max(_maxError, error));
        foreach (var bias in Bias.Slice(0, count))
            _maxBias = MathF.Max(_maxBias, MathF.Abs(bias));
    }

    /// <param name="w">[d]; null: a latent that is not there.</param>
    /// <param name="panel">Where to.</param>
    /// <param name="column">Where to in the panel.</param>
    /// <returns>At least ‖w‖, and at least ‖w - its packed form‖.</returns>
    protected abstract (float Norm, float Error) PackLatent(float* w, int panel, int column);

    /// <summary>All latents of a panel are packed, those that are not there too.</summary>
    protected virtual void PackedPanel(int panel)
    {
    }

    /// <summary>Packs a row of a block.</summary>
    /// <param name="x">[d]; null: a row that is not there.</param>
    /// <param name="block">Of <see cref="BlockBytes"/>.</param>
    /// <param name="tiles">Of the block.</param>
    /// <param name="row">Below <paramref name="tiles"/> * <see cref="TileRows"/>.</param>
    /// <returns>
    /// No pre-activation of this row is further than this from <see cref="RowKernel.Dot"/> plus bias; infinite where there is no telling.
    /// </returns>
    public float PackRow(float* x, byte* block, int tiles, int row)
    {
        var (norm, error) = PackRowInto(x, block, tiles, row);
        // ⟨x, w⟩ - ⟨x', w'⟩ = ⟨x - x', w⟩ + ⟨x', w - w'⟩ (Cauchy-Schwarz); norms themselves are rounded; and so are the products, here and there.
        var packed = error * _maxNorm + (norm + error) * _maxError;
        var rounded = RoundedProducts * 2 * HalfUlp * norm * _maxNorm + 4 * HalfUlp * _maxBias;
        var bound = 1.001f * packed + 1.001f * rounded + D * float.Epsilon;
        return float.IsFinite(bound) ? bound : float.PositiveInfinity;
    }

    protected abstract (float Norm, float Error) PackRowInto(float* x, byte* block, int tiles, int row);

    /// <summary>All rows of a block are packed, those that are not there too.</summary>
    public virtual void Packed(byte* block, int tiles)
    {
    }

    /// <summary>Roundings on the way to a pre-activation, here and in <see cref="RowKernel.Dot"/> together, at least.</summary>
    protected abstract int RoundedProducts { get; }

    /// <summary>Has the candidates look at nearly ⟨row, latent⟩ + bias of each row of a block and each latent of a panel, if only where one is above the row's threshold.</summary>
    /// <param name="block">Of packed rows.</param>
    /// <param name="tiles">Of the block.</param>
    /// <param name="rows">That are there.</param>
    /// <param name="panel">Of latents; of every row they come in ascending order.</param>
    /// <param name="candidates">Of the block.</param>
    public abstract void Sift(byte* block, int tiles, int rows, int panel, Candidates candidates);
}
