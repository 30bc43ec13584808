using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Rows and latents rounded to 16-bit integers, each with a scale of its own, and products summed in 32 bits: twice as many multiplications an
/// instruction as in float32. Scaled so that ‖x'‖ ‖w'‖ stays below 2^31, no sum can overflow (Cauchy-Schwarz again).
/// </summary>
internal sealed unsafe class Int16Screen : Screen
{
    /// <summary>Norm of a rounded row: below sqrt(2^31) = 46340 by more than rounding can add to a row of 65536 (at most 0.5 sqrt(65536) = 128).</summary>
    private const float Norm = 46_000;

    private readonly AlignedBuffer<int> _panels;    // [panels][d / 2][tileLatents], a pair of 16-bit integers each
    private readonly AlignedBuffer<float> _scales;  // [panels * tileLatents]
    private readonly delegate*<int*, int*, int, int*, void> _multiply;

    public Int16Screen(int d, int maxLatents, int tileRows, int tileLatents, delegate*<int*, int*, int, int*, void> multiply)
        : base(d, maxLatents, tileRows, tileLatents)
    {
        _multiply = multiply;
        _panels = new((long)Bias.Length * d / 2);
        _scales = new(Bias.Length);
    }

    // The pairs, and behind the tile the scales of its rows, which are floats.
    public override int RowBytes => (D * sizeof(short)) + sizeof(float);

    // Conversion to float, two products and a sum here; a chain over d / 16, the sum of the sixteen chains and the bias there.
    protected override int RoundedProducts => (D / 16) + 16;

    protected override (float Norm, float Error) PackLatent(float* w, int panel, int column)
    {
        var (norm, error, scale) = Quantise(w, _panels.Pointer + (long)panel * TileLatents * (D / 2) + column, TileLatents);
        _scales.Pointer[panel * TileLatents + column] = scale;
        return (norm, error);
    }

    protected override (float Norm, float Error) PackRowInto(float* x, byte* tile, int at)
    {
        var (norm, error, scale) = Quantise(x, (int*)tile + at, TileRows);
        ScalesOf(tile)[at] = scale;
        return (norm, error);
    }

    public override void Multiply(byte* rows, int panel, float* tile)
    {
        // In place: each pass reads what it is about to overwrite.
        var sums = (int*)tile;
        _multiply((int*)rows, _panels.Pointer + (long)panel * TileLatents * (D / 2), D / 2, sums);
        float* ofRow = ScalesOf(rows), ofLatent = _scales.Pointer + panel * TileLatents, bias = Bias.Pointer + panel * TileLatents;
        for (var c = 0; c < TileLatents; c += 16)
        {
            Vector256<float> low = Vector256.Load(ofLatent + c), high = Vector256.Load(ofLatent + c + 8), lowBias = Vector256.Load(bias + c), highBias = Vector256.Load(bias + c + 8);
            var at = tile + c;
            for (var r = 0; r < TileRows; r++, at += TileLatents)
            {
                var scale = Vector256.Create(ofRow[r]);
                Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(Vector256.Load((int*)at)) * scale, low, lowBias).Store(at);
                Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(Vector256.Load((int*)at + 8)) * scale, high, highBias).Store(at + 8);
            }
        }
    }

    private float* ScalesOf(byte* tile) => (float*)(tile + (long)TileRows * D * sizeof(short));

    /// <summary>Writes pairs of rounded components, <paramref name="step"/> apart.</summary>
    private (float Norm, float Error, float Scale) Quantise(float* x, int* pairs, int step)
    {
        var square = x == null ? 0 : RowKernel.Dot(x, x, D);
        var largest = x == null ? 0 : RowKernel.MaxAbs(x, D);
        if (!(square >= SmallestSquare) || !float.IsFinite(square))
        {
            for (var j = 0; j < D / 2; j++, pairs += step)
                *pairs = 0;
            // All of it is error; of a row that is not finite, or whose square is not, nothing is known.
            var whole = square < SmallestSquare ? largest * MathF.Sqrt(D) : float.PositiveInfinity;
            return (whole, whole, 0);
        }
        var norm = MathF.Sqrt(square);
        var factor = Math.Min(Norm / norm, short.MaxValue / largest);
        var scale = 1 / factor;
        var error = RowKernel.Quantise(x, factor, scale, pairs, step, D);
        return (norm, MathF.Sqrt(error), scale);
    }
}
