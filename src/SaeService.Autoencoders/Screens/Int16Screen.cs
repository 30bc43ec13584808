using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Rows and latents rounded to 16-bit integers, each with a scale of its own, and products summed in 32 bits: twice as many multiplications an
/// instruction as in float32. Scaled so that ‖x'‖ ‖w'‖ stays below 2^31, no sum can overflow (Cauchy-Schwarz again), and so that four components add up
/// to 16 bits, as <see cref="Strassen"/> wants.
/// </summary>
internal sealed unsafe class Int16Screen : Screen
{
    /// <summary>Norm of a rounded row: below sqrt(2^31) = 46340 by more than rounding can add to a row of 65536 (at most 0.5 sqrt(65536) = 128).</summary>
    private const float Norm = 46_000;

    // Rows whose limits are found at once, as many as a product's tile has, or more; and latents that are looked at together.
    private const int VectorRows = 8, Group = 16;

    // So much above 1 that the roundings of a limit can not make it too high.
    private const float Margin = 1 + 1e-5f;

    private readonly AlignedBuffer<int> _panels;    // [panels], see Strassen
    private readonly AlignedBuffer<float> _scales;  // [panels * tileLatents]
    private readonly AlignedBuffer<(float Inverse, float Bias)> _largest;   // of each sixteen latents: one over (a little more than) the largest scale, and the largest bias
    private readonly delegate*<int*, int*, int, int*, int*, void> _multiply;
    private readonly int _rows, _latents;           // of a product's tile, half as many as of ours

    public Int16Screen(int d, int maxLatents, int rows, int latents, delegate*<int*, int*, int, int*, int*, void> multiply)
        : base(d, maxLatents, 2 * rows, 2 * latents)
    {
        (_rows, _latents) = (rows, latents);
        _multiply = multiply;
        _panels = new((long)Bias.Length * Pairs);
        _scales = new(Bias.Length);
        _largest = new(Bias.Length / Group);
    }

    private int Pairs => D / 2;

    public override long BlockBytes(int tiles) => Strassen.Bytes(tiles, Pairs, _rows, _latents) + ((2L * tiles * TileRows + VectorRows) * sizeof(float));

    // Conversion to float, two products and a sum here; a chain over d / 16, the sum of the sixteen chains and the bias there.
    protected override int RoundedProducts => (D / 16) + 16;

    protected override (float Norm, float Error) PackLatent(float* w, int panel, int column)
    {
        Strassen.PlaceLatent(_panels.Pointer + ((long)panel * TileLatents * Pairs), column, Pairs, _latents, out var first, out var second);
        var (norm, error, scale) = Quantise(w, first, second, _latents);
        _scales.Pointer[panel * TileLatents + column] = scale;
        return (norm, error);
    }

    protected override void PackedPanel(int panel)
    {
        for (var group = panel * TileLatents / Group; group < (panel + 1) * TileLatents / Group; group++)
        {
            var (scale, bias) = (0f, float.NegativeInfinity);
            for (var latent = group * Group; latent < (group + 1) * Group; latent++)
                (scale, bias) = (MathF.Max(scale, _scales.Pointer[latent]), MathF.Max(bias, Bias.Pointer[latent]));
            _largest.Pointer[group] = (1 / (Margin * scale), bias);
        }
    }

    protected override (float Norm, float Error) PackRowInto(float* x, byte* block, int tiles, int row)
    {
        Products(block, tiles).PlaceRow(row, out var first, out var second);
        var (norm, error, scale) = Quantise(x, first, second, _rows);
        Scales(block, tiles)[row] = scale;
        Inverses(block, tiles)[row] = 1 / scale;
        return (norm, error);
    }

    public override void Packed(byte* block, int tiles) => Products(block, tiles).SumRows();

    public override void Sift(byte* block, int tiles, int rows, int panel, Candidates candidates)
    {
        var sink = new Sink(this, Scales(block, tiles), Inverses(block, tiles), rows, panel * TileLatents, candidates);
        Products(block, tiles).Multiply(_panels.Pointer + ((long)panel * TileLatents * Pairs), _multiply, ref sink);
    }

    private Strassen Products(byte* block, int tiles) => new(block, tiles, Pairs, _rows, _latents);

    // Behind what the products need, a scale of each row, and behind them one over it.
    private float* Scales(byte* block, int tiles) => (float*)(block + Strassen.Bytes(tiles, Pairs, _rows, _latents));
    private float* Inverses(byte* block, int tiles) => Scales(block, tiles) + (tiles * TileRows);

    /// <summary>Turns sums into pre-activations, but only where there are some that the candidates would look at.</summary>
    private readonly ref struct Sink(Int16Screen screen, float* scales, float* inverses, int rows, int firstLatent, Candidates candidates) : Strassen.ISink
    {
        private readonly float* _thresholds = candidates.Thresholds;

        public void Take(int tile, bool upper, bool left, int* sums)
        {
            var first = (tile * screen.TileRows) + (upper ? 0 : screen._rows);
            var count = Math.Min(screen._rows, rows - first);
            if (count <= 0)
                return;
            var limits = stackalloc int[VectorRows];
            var latent = firstLatent + (left ? 0 : screen._latents);
            for (var c = 0; c < screen._latents; c += Group)
            {
                Limits(first, latent + c).Store(limits);
                var at = sums + c;
                for (var r = 0; r < count; r++, at += screen._latents)
                    if (Vector256.GreaterThanAny(Vector256.Max(Vector256.Load(at), Vector256.Load(at + 8)), Vector256.Create(limits[r])))
                        Look(first + r, latent + c, at);
            }
        }

        /// <summary>
        /// What a sum of each row must be above for its pre-activation to be above the row's threshold: (threshold - largest bias) / (scale of the row * largest of the
        /// latents), or less. Where the bias alone is above the threshold, any sum may.
        /// </summary>
        private Vector256<int> Limits(int first, int latent)
        {
            var (inverse, bias) = screen._largest.Pointer[latent / Group];
            var room = Vector256.Load(_thresholds + first) - Vector256.Create(bias);
            var limits = Vector256.ConvertToInt32(room * Vector256.Load(inverses + first) * Vector256.Create(inverse));
            return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(room, Vector256<float>.Zero).AsInt32(), limits, Vector256.Create(int.MinValue));
        }

        private void Look(int row, int latent, int* sums)
        {
            float* scale = screen._scales.Pointer + latent, bias = screen.Bias.Pointer + latent;
            var ofRow = Vector256.Create(scales[row]);
            candidates.Look(row, Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(Vector256.Load(sums)) * ofRow, Vector256.Load(scale), Vector256.Load(bias)),
                Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(Vector256.Load(sums + 8)) * ofRow, Vector256.Load(scale + 8), Vector256.Load(bias + 8)), latent);
        }
    }

    /// <summary>Writes pairs of rounded components, <paramref name="step"/> apart: of each eight the first four to one place and the others to another.</summary>
    private (float Norm, float Error, float Scale) Quantise(float* x, int* first, int* second, int step)
    {
        var square = x == null ? 0 : RowKernel.Dot(x, x, D);
        var largest = x == null ? 0 : RowKernel.MaxAbs(x, D);
        if (!(square >= SmallestSquare) || !float.IsFinite(square))
        {
            for (var j = 0; j < Pairs / 2; j++)
                first[j * step] = second[j * step] = 0;
            // All of it is error; of a row that is not finite, or whose square is not, nothing is known.
            var whole = square < SmallestSquare ? largest * MathF.Sqrt(D) : float.PositiveInfinity;
            return (whole, whole, 0);
        }
        var norm = MathF.Sqrt(square);
        var factor = Math.Min(Norm / norm, Strassen.Largest / largest);
        var scale = 1 / factor;
        var error = RowKernel.Quantise(x, factor, scale, first, second, step, D);
        return (norm, MathF.Sqrt(error), scale);
    }
}
