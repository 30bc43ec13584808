using System.Buffers;
using System.Runtime.Intrinsics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// Multinomial logistic regression with an L2 penalty, fitted to the optimum: minimises mean cross-entropy (nats) + λ/2 ‖W‖², the bias b not
/// penalised, over the full batch. The same optimum as scikit-learn's <c>LogisticRegression(C = 1/(N λ))</c> on the same z-scores. Products in float32,
/// sums over rows and the solver's state in float64; a fit's bits do not depend on the number of threads.
/// </summary>
public sealed class LinearProbe : IProbe
{
    private const int BlockRows = 128;

    private readonly int _padded;
    private readonly int _stride;
    private readonly double[] _theta; // [dimension + 1, classes]: W, then b
    private readonly float[] _w;      // panels of [stride, padded]
    private readonly float[] _b;      // [padded], -1e30 beyond the classes: no probability there

    private LinearProbe(ProbeDesign design, int classes, double lambda, double[] theta)
    {
        (Dimension, Classes, Lambda, _theta) = (design.Dimension, classes, lambda, theta);
        (_stride, _padded) = (design.Stride, PanelProducts.Padded(classes));
        _w = new float[_stride * _padded];
        _b = new float[_padded];
    }

    public int Dimension { get; }
    public int Classes { get; }
    public double Lambda { get; }

    /// <summary>The objective at the optimum: mean cross-entropy in nats + λ/2 ‖W‖².</summary>
    public double Objective { get; private set; }
    public int Steps { get; private set; }

    /// <summary>W [dimension, classes] row-major for standardised vectors, then b [classes].</summary>
    public ReadOnlySpan<double> Parameters => _theta;

    /// <param name="labels">[design.Rows], in [0, classes).</param>
    /// <param name="start">Where to start: the probe of a neighbouring λ on the same design and classes.</param>
    public static LinearProbe Fit(ProbeDesign design, ReadOnlySpan<int> labels, int classes, double lambda, LinearProbe? start = null)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(labels.Length, design.Rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(classes, 2);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lambda);
        var y = labels.ToArray();
        var counts = new int[classes];
        foreach (var label in y)
            counts[label]++;
        var theta = new double[(design.Dimension + 1) * classes];
        if (start is not null)
            start._theta.CopyTo(theta, 0);
        else
            for (var c = 0; c < classes; c++)
                theta[design.Dimension * classes + c] = Math.Log(Math.Max(counts[c], 0.5) / y.Length);

        var probe = new LinearProbe(design, classes, lambda, theta);
        var curvature = counts.Average(n => (double)n / y.Length * (1 - (double)n / y.Length));
        var metric = design.Metric(ref curvature, lambda);
        var zero = new float[probe._padded];
        float[] packed = new float[probe._w.Length], product = new float[design.Stride * probe._padded];
        var work = new Work(design, probe._padded);
        (probe.Objective, probe.Steps) = Lbfgs.Minimise(
            (at, gradient) => probe.Evaluate(design, y, at, gradient, work),
            (v, into) => probe.ApplyMetric(metric, curvature, v, into, packed, product, zero, design.Parallelism), theta);
        probe.Pack(theta);
        return probe;
    }

    /// <inheritdoc/>
    public void LogProbabilities(ReadOnlySpan<float> x, int rows, Span<double> into)
    {
        var z = new float[BlockRows * _padded];
        for (var from = 0; from < rows; from += BlockRows)
        {
            var block = Math.Min(BlockRows, rows - from);
            PanelProducts.Multiply(x[(from * _stride)..], _stride, ProbeDesign.RowsAllocated(block), _w, _b, z, _padded);
            for (var row = 0; row < block; row++)
                LogSoftmax(z.AsSpan(row * _padded, Classes), into.Slice((from + row) * Classes, Classes));
        }
    }

    internal static void LogSoftmax(ReadOnlySpan<float> logits, Span<double> into)
    {
        var max = double.NegativeInfinity;
        foreach (var logit in logits)
            max = Math.Max(max, logit);
        var sum = 0.0;
        foreach (var logit in logits)
            sum += Math.Exp(logit - max);
        var log = max + Math.Log(sum);
        for (var c = 0; c < into.Length; c++)
            into[c] = logits[c] - log;
    }

    /// <summary>Sums of a chunk of rows, which one thread makes; chunks are added in their order.</summary>
    private sealed class Work
    {
        /// <summary>More chunks than cores will ever need, few enough that their gradients fit in memory.</summary>
        private const int MaxChunks = 64;

        public Work(ProbeDesign design, int padded)
        {
            Rows = Math.Max(512, (design.Rows + MaxChunks - 1) / MaxChunks + BlockRows - 1) / BlockRows * BlockRows;
            var chunks = (design.Rows + Rows - 1) / Rows;
            (Loss, Gradient, Bias) = (new double[chunks], new float[chunks][], new double[chunks][]);
            for (var chunk = 0; chunk < chunks; chunk++)
                (Gradient[chunk], Bias[chunk]) = (new float[design.Stride * padded], new double[padded]);
        }

        public int Rows { get; }
        public double[] Loss { get; }
        public float[][] Gradient { get; }
        public double[][] Bias { get; }
    }

    private double Evaluate(ProbeDesign design, int[] y, double[] at, double[] gradient, Work work)
    {
        Pack(at);
        Parallel.For(0, work.Loss.Length, design.Parallelism, chunk =>
            SumChunk(design, y, chunk * work.Rows, Math.Min(design.Rows, (chunk + 1) * work.Rows), work, chunk));

        Array.Clear(gradient);
        double loss = 0, penalty = 0;
        for (var chunk = 0; chunk < work.Loss.Length; chunk++)
        {
            loss += work.Loss[chunk];
            for (var c = 0; c < Classes; c++)
                gradient[Dimension * Classes + c] += work.Bias[chunk][c];
            foreach (var (start, width) in PanelProducts.Panels(_padded))
            {
                var g = work.Gradient[chunk].AsSpan(start * _stride, width * _stride);
                var used = Math.Min(width, Classes - start);
                for (var j = 0; j < Dimension; j++)
                    for (var c = 0; c < used; c++)
                        gradient[j * Classes + start + c] += g[j * width + c];
            }
        }
        for (var i = 0; i < gradient.Length; i++)
            gradient[i] /= design.Rows;
        for (var i = 0; i < Dimension * Classes; i++)
        {
            penalty += at[i] * at[i];
            gradient[i] += Lambda * at[i];
        }
        return loss / design.Rows + Lambda / 2 * penalty;
    }

    private void SumChunk(ProbeDesign design, int[] y, int from, int to, Work work, int chunk)
    {
        var z = ArrayPool<float>.Shared.Rent(BlockRows * _padded);
        var gradient = work.Gradient[chunk];
        var bias = work.Bias[chunk];
        var loss = 0.0;
        Array.Clear(gradient);
        Array.Clear(bias);
        for (var row = from; row < to; row += BlockRows)
        {
            var rows = Math.Min(BlockRows, to - row);
            var x = design.X.AsSpan(row * _stride, ProbeDesign.RowsAllocated(rows) * _stride);
            PanelProducts.Multiply(x, _stride, ProbeDesign.RowsAllocated(rows), _w, _b, z, _padded);
            for (var i = 0; i < rows; i++)
            {
                var e = z.AsSpan(i * _padded, _padded);
                var label = y[row + i];
                var logit = e[label];
                loss += Softmax(e) - logit;
                e[label] -= 1;
                for (var c = 0; c < e.Length; c++)
                    bias[c] += e[c];
            }
            foreach (var (start, width) in PanelProducts.Panels(_padded))
                PanelProducts.AddTransposed(x, _stride, rows, z, _padded, start, width, gradient.AsSpan(start * _stride, width * _stride));
        }
        work.Loss[chunk] = loss;
        ArrayPool<float>.Shared.Return(z);
    }

    /// <summary>Turns logits into probabilities and returns ln Σ exp. Own loops: the library's sums may depend on where an array lies.</summary>
    internal static double Softmax(Span<float> z)
    {
        var max = Vector256.Create(float.NegativeInfinity);
        for (var c = 0; c < z.Length; c += Vector256<float>.Count)
            max = Vector256.Max(max, Vector256.Create<float>(z[c..]));
        var top = max[0];
        for (var c = 1; c < Vector256<float>.Count; c++)
            top = Math.Max(top, max[c]);
        var sums = Vector256<float>.Zero;
        for (var c = 0; c < z.Length; c += Vector256<float>.Count)
        {
            var e = Vector256.Exp(Vector256.Create<float>(z[c..]) - Vector256.Create(top));
            sums += e;
            e.CopyTo(z[c..]);
        }
        var sum = Vector256.Sum(sums);
        for (var c = 0; c < z.Length; c += Vector256<float>.Count)
            (Vector256.Create<float>(z[c..]) * (1 / sum)).CopyTo(z[c..]);
        return top + Math.Log(sum);
    }

    private void ApplyMetric(float[] metric, double curvature, double[] v, double[] into, float[] packed, float[] product, float[] zero,
        ParallelOptions parallel)
    {
        PackInto(packed, v);
        Parallel.For(0, (_stride + BlockRows - 1) / BlockRows, parallel, block =>
        {
            var from = block * BlockRows;
            var rows = Math.Min(BlockRows, _stride - from);
            PanelProducts.Multiply(metric.AsSpan(from * _stride, rows * _stride), _stride, rows, packed, zero, product.AsSpan(from * _padded), _padded);
        });
        for (var j = 0; j < Dimension; j++)
            for (var c = 0; c < Classes; c++)
                into[j * Classes + c] = product[j * _padded + c];
        for (var i = Dimension * Classes; i < into.Length; i++)
            into[i] = v[i] / curvature;
    }

    private void Pack(double[] theta)
    {
        PackInto(_w, theta);
        Array.Fill(_b, -1e30f);
        for (var c = 0; c < Classes; c++)
            _b[c] = (float)theta[Dimension * Classes + c];
    }

    private void PackInto(float[] panels, double[] theta)
    {
        foreach (var (start, width) in PanelProducts.Panels(_padded))
        {
            var panel = panels.AsSpan(start * _stride, width * _stride);
            var used = Math.Min(width, Classes - start);
            for (var j = 0; j < Dimension; j++)
                for (var c = 0; c < used; c++)
                    panel[j * width + c] = (float)theta[j * Classes + start + c];
        }
    }
}
