using System.Runtime.Intrinsics;

namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Mean and covariance of vectors that come in blocks, float64. Sums are of differences from the first block's mean, so that a mean much larger than the
/// deviations costs no digits, and every sum is made by one thread in the order of the rows: the result does not depend on the number of threads.
/// </summary>
internal sealed class Moments
{
    private const int BlockRows = 256, TileRows = 4, TileColumns = 8;

    private readonly double[] _origin;  // [stride]
    private readonly double[] _sum;     // [d]
    private readonly double[] _squares; // [stride, stride], lower triangle of tiles
    private readonly double[] _block;   // [BlockRows, stride]
    private readonly int _stride;
    private readonly ParallelOptions _parallel;
    private bool _begun;

    public Moments(int d, int threads = -1)
    {
        Dimension = d;
        _stride = (d + TileColumns - 1) / TileColumns * TileColumns;
        (_origin, _sum, _squares, _block) = (new double[_stride], new double[d], new double[checked(_stride * _stride)], new double[BlockRows * _stride]);
        _parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
    }

    public int Dimension { get; }
    public long Count { get; private set; }

    public double[] Mean => [.. _sum.Select((sum, i) => _origin[i] + sum / Count)];

    /// <param name="rows">[n, d]</param>
    /// <exception cref="InvalidDataException">A number is not finite.</exception>
    public void Add(ReadOnlySpan<float> rows)
    {
        var d = Dimension;
        if (!_begun)
        {
            for (var i = 0; i < rows.Length; i++)
                _origin[i % d] += rows[i] / (double)(rows.Length / d);
            _begun = true;
        }
        for (; rows.Length > 0; rows = rows[Math.Min(rows.Length, BlockRows * d)..])
        {
            var n = Math.Min(BlockRows, rows.Length / d);
            for (var row = 0; row < n; row++)
                for (var i = 0; i < d; i++)
                {
                    var x = rows[row * d + i];
                    if (!float.IsFinite(x))
                        throw new InvalidDataException($"row {Count + row} holds {x} in dimension {i}");
                    _sum[i] += _block[row * _stride + i] = x - _origin[i];
                }
            Count += n;
            Parallel.For(0, _stride / TileRows, _parallel, tile =>
            {
                for (var column = 0; column < (tile + 1) * TileRows; column += TileColumns)
                    AddTile(n, tile * TileRows, column);
            });
        }
    }

    /// <returns>[d, d], divided by n - 1.</returns>
    public double[] Covariance()
    {
        var covariance = new double[Dimension * Dimension];
        for (var i = 0; i < Dimension; i++)
            for (var j = 0; j <= i; j++)
                covariance[i * Dimension + j] = covariance[j * Dimension + i] = (_squares[i * _stride + j] - _sum[i] * _sum[j] / Count) / Math.Max(1, Count - 1);
        return covariance;
    }

    private void AddTile(int rows, int i, int j)
    {
        Vector256<double> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        for (int row = 0, at = 0; row < rows; row++, at += _stride)
        {
            var x = _block.AsSpan(at, _stride);
            var (low, high) = (Vector256.Create<double>(x[j..]), Vector256.Create<double>(x[(j + 4)..]));
            (a0, a1) = (Vector256.FusedMultiplyAdd(Vector256.Create(x[i]), low, a0), Vector256.FusedMultiplyAdd(Vector256.Create(x[i]), high, a1));
            (b0, b1) = (Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 1]), low, b0), Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 1]), high, b1));
            (c0, c1) = (Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 2]), low, c0), Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 2]), high, c1));
            (d0, d1) = (Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 3]), low, d0), Vector256.FusedMultiplyAdd(Vector256.Create(x[i + 3]), high, d1));
        }
        Store(i, j, a0, a1);
        Store(i + 1, j, b0, b1);
        Store(i + 2, j, c0, c1);
        Store(i + 3, j, d0, d1);
    }

    private void Store(int i, int j, Vector256<double> low, Vector256<double> high)
    {
        var into = _squares.AsSpan(i * _stride + j, TileColumns);
        (Vector256.Create<double>(into) + low).CopyTo(into);
        (Vector256.Create<double>(into[4..]) + high).CopyTo(into[4..]);
    }
}
