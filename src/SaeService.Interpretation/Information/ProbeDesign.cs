namespace SaeService.Interpretation.Information;

/// <summary>
/// The train vectors of a layer, standardised, as every probe of that layer and task sees them: [rows, stride] float32 with rows and columns padded by
/// zeros to whole tiles. Costs rows * stride * 4 bytes.
/// </summary>
public sealed class ProbeDesign
{
    /// <summary>Rows whose covariance shapes the solver's metric; more would not shape it better.</summary>
    private const int MetricRows = 4096;
    private const int MetricBlock = 128;

    private readonly Standardiser _standardiser;
    private readonly Dictionary<(double Curvature, double Lambda), float[]> _metrics = [];
    private float[]? _covariance;

    /// <param name="cancel">Stops a fit between two of its steps.</param>
    /// <param name="vectors">[rows, StrideOf(dimension)] float32, row-major, zeros beyond <paramref name="dimension"/>; with room for
    /// <see cref="RowsAllocated"/> rows. Taken over and standardised in place.</param>
    public ProbeDesign(float[] vectors, int rows, int dimension, int threads, CancellationToken cancel = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(vectors.Length, RowsAllocated(rows) * StrideOf(dimension));
        (Rows, Dimension, Stride, X) = (rows, dimension, StrideOf(dimension), vectors);
        Parallelism = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancel };
        _standardiser = new Standardiser(vectors, rows, Stride, dimension);
        _standardiser.Apply(vectors, rows, Stride);
    }

    public int Rows { get; }
    public int Dimension { get; }
    public int Stride { get; }
    internal float[] X { get; }
    internal ParallelOptions Parallelism { get; }

    public static int StrideOf(int dimension) => checked(dimension + 7) / 8 * 8;

    public static int RowsAllocated(int rows) => (rows + PanelProducts.Tile - 1) / PanelProducts.Tile * PanelProducts.Tile;

    /// <summary>Brings other vectors [rows, Stride] to the scale of the train vectors.</summary>
    public void Standardise(Span<float> vectors, int rows) => _standardiser.Apply(vectors, rows, Stride);

    /// <summary>Σ x² over rows from <paramref name="from"/> on.</summary>
    internal double SquaredNorm(int from, int rows)
    {
        var sum = 0.0;
        foreach (var v in X.AsSpan(from * Stride, rows * Stride))
            sum += (double)v * v;
        return sum;
    }

    /// <summary>
    /// (c·Cov + λ)⁻¹ [Stride, Stride], with <paramref name="curvature"/> c rounded to a power of two so that the probes of a task share it. The Hessian
    /// of a class's weights is E[p(1-p) x xᵀ] + λ, so this is its inverse for a p(1-p) that does not depend on x: on word vectors it halves the steps.
    /// </summary>
    internal float[] Metric(ref double curvature, double lambda)
    {
        curvature = Math.Pow(2, Math.Round(Math.Log2(curvature)));
        if (_metrics.TryGetValue((curvature, lambda), out var metric))
            return metric;
        _covariance ??= Covariance();
        var a = new double[Stride * Stride];
        for (var i = 0; i < a.Length; i++)
            a[i] = curvature * _covariance[i];
        for (var i = 0; i < Stride; i++)
            a[i * Stride + i] += lambda + 1e-6 * curvature; // Rounding of the float32 covariance must not make it indefinite.
        var inverse = SymmetricInverse.Of(a, Stride, Parallelism);
        metric = new float[inverse.Length];
        for (var i = 0; i < metric.Length; i++)
            metric[i] = (float)inverse[i];
        return _metrics[(curvature, lambda)] = metric;
    }

    /// <summary>[Stride, Stride], from evenly spaced blocks of rows.</summary>
    private float[] Covariance()
    {
        var blocks = (Rows + MetricBlock - 1) / MetricBlock;
        var every = Math.Max(1, blocks / (MetricRows / MetricBlock));
        var covariance = new float[Stride * Stride];
        Parallel.ForEach(PanelProducts.Panels(Stride).ToArray(), Parallelism, panel =>
        {
            var g = new float[Stride * panel.Width];
            var seen = 0;
            for (var block = 0; block < blocks; block += every)
            {
                var rows = Math.Min(MetricBlock, Rows - block * MetricBlock);
                var x = X.AsSpan(block * MetricBlock * Stride, rows * Stride);
                PanelProducts.AddTransposed(x, Stride, rows, x, Stride, panel.Start, panel.Width, g);
                seen += rows;
            }
            for (var i = 0; i < Stride; i++)
                for (var j = 0; j < panel.Width; j++)
                    covariance[i * Stride + panel.Start + j] = g[i * panel.Width + j] / seen;
        });
        return covariance;
    }
}
