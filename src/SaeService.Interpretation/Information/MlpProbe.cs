using System.Runtime.Intrinsics;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// softmax(W2 relu(W1 x + b1) + b2), the MLP-1 probe of Hewitt and Liang 2019, trained as theirs are: Adam at 1e-3, the rate halved after each epoch that does
/// not lower the loss on dev words, the best epoch kept, stopped after four in a row. Parameters lie in the panels of <see cref="PanelProducts"/>; a batch's rows are
/// shared out forward and its panels backward, so that every sum has one order and the bits do not depend on the number of threads.
/// </summary>
internal sealed class MlpProbe : IProbe
{
    public const int Hidden = 128;
    private const int Batch = 256;
    private const int BlockRows = 64;
    private const int MaxEpochs = 60;
    private const int Patience = 4;
    private const double Rate = 1e-3;
    private const long InitialStream = 0x6D6C70, OrderStream = 0x6D6C706F;

    private readonly int _stride, _hidden, _padded;
    private readonly Layer _first, _second;

    private MlpProbe(ProbeDesign design, int classes)
    {
        (_stride, _hidden, _padded, Classes) = (design.Stride, PanelProducts.Padded(Hidden), PanelProducts.Padded(classes), classes);
        (_first, _second) = (new(_stride, _hidden), new(_hidden, _padded));
    }

    public int Classes { get; }

    /// <summary>Cross-entropy on dev words of the epoch that was kept, nats.</summary>
    public double DevLoss { get; private set; } = double.PositiveInfinity;

    /// <param name="labels">[design.Rows], in [0, classes).</param>
    /// <param name="dev">Standardised dev vectors [devLabels rounded up to whole tiles, design.Stride]; <paramref name="devLabels"/> in [0, classes).</param>
    public static MlpProbe Fit(ProbeDesign design, int[] labels, int classes, float[] dev, int[] devLabels, long seed)
    {
        var probe = new MlpProbe(design, classes);
        probe.Initialise(design, labels, seed);
        probe.Train(design, labels, dev, devLabels, seed);
        return probe;
    }

    /// <inheritdoc/>
    public void LogProbabilities(ReadOnlySpan<float> x, int rows, Span<double> into)
    {
        float[] a = new float[BlockRows * _hidden], z = new float[BlockRows * _padded];
        for (var from = 0; from < rows; from += BlockRows)
        {
            var block = Math.Min(BlockRows, rows - from);
            Forward(x[(from * _stride)..], ProbeDesign.RowsAllocated(block), a, z);
            for (var row = 0; row < block; row++)
                LinearProbe.LogSoftmax(z.AsSpan(row * _padded, Classes), into.Slice((from + row) * Classes, Classes));
        }
    }

    private void Initialise(ProbeDesign design, int[] labels, long seed)
    {
        var random = new CounterRandom(seed ^ InitialStream, 0);
        Fill(_first, design.Dimension, Hidden, Math.Sqrt(2.0 / design.Dimension));
        Fill(_second, Hidden, Classes, Math.Sqrt(1.0 / Hidden));
        Array.Fill(_second.Bias, -1e30f);
        var counts = new int[Classes];
        foreach (var label in labels)
            counts[label]++;
        for (var c = 0; c < Classes; c++)
            _second.Bias[c] = (float)Math.Log(Math.Max(counts[c], 0.5) / labels.Length);

        void Fill(Layer layer, int inputs, int outputs, double deviation)
        {
            foreach (var (start, width) in PanelProducts.Panels(layer.Outputs))
                for (var j = 0; j < inputs; j++)
                    for (var c = 0; c < Math.Min(width, outputs - start); c++)
                        layer.Weights[start * layer.Inputs + j * width + c] = (float)(deviation * random.NextNormal());
        }
    }

    private void Train(ProbeDesign design, int[] labels, float[] dev, int[] devLabels, long seed)
    {
        var order = Enumerable.Range(0, design.Rows).ToArray();
        var work = new Work(_stride, _hidden, _padded);
        Layer bestFirst = new(_stride, _hidden), bestSecond = new(_hidden, _padded);
        var rate = Rate;
        var step = 0;
        for (int epoch = 0, worse = 0; epoch < MaxEpochs && worse < Patience; epoch++)
        {
            new CounterRandom(seed ^ OrderStream, epoch).Shuffle<int>(order);
            for (var from = 0; from < order.Length; from += Batch)
            {
                Gradients(design, order.AsSpan(from, Math.Min(Batch, order.Length - from)), labels, work);
                step++;
                _first.Step(work.First, rate, step, design.Parallelism);
                _second.Step(work.Second, rate, step, design.Parallelism);
            }
            var loss = Loss(dev, devLabels, design.Parallelism);
            if (loss < DevLoss)
            {
                (DevLoss, worse) = (loss, 0);
                bestFirst.CopyFrom(_first);
                bestSecond.CopyFrom(_second);
            }
            else
            {
                (rate, worse) = (rate / 2, worse + 1);
            }
        }
        _first.CopyFrom(bestFirst);
        _second.CopyFrom(bestSecond);
    }

    private double Loss(float[] dev, int[] labels, ParallelOptions parallel)
    {
        var loss = new double[(labels.Length + BlockRows - 1) / BlockRows];
        Parallel.For(0, loss.Length, parallel, block =>
        {
            var from = block * BlockRows;
            var rows = Math.Min(BlockRows, labels.Length - from);
            var log = new double[rows * Classes];
            LogProbabilities(dev.AsSpan(from * _stride), rows, log);
            for (var row = 0; row < rows; row++)
                loss[block] -= log[row * Classes + labels[from + row]];
        });
        return loss.Sum() / labels.Length;
    }

    private void Forward(ReadOnlySpan<float> x, int rows, Span<float> a, Span<float> z)
    {
        PanelProducts.Multiply(x, _stride, rows, _first.Weights, _first.Bias, a, _hidden);
        for (var i = 0; i < rows * _hidden; i += Vector256<float>.Count)
            Vector256.Max(Vector256.Create<float>(a[i..]), Vector256<float>.Zero).CopyTo(a[i..]);
        PanelProducts.Multiply(a, _hidden, rows, _second.Weights, _second.Bias, z, _padded);
    }

    /// <summary>Mean gradients of cross-entropy over the batch, into <paramref name="work"/>.</summary>
    private void Gradients(ProbeDesign design, ReadOnlySpan<int> batch, int[] labels, Work work)
    {
        var rows = batch.Length;
        Array.Clear(work.X);
        for (var i = 0; i < rows; i++)
        {
            design.X.AsSpan(batch[i] * _stride, _stride).CopyTo(work.X.AsSpan(i * _stride));
            work.Labels[i] = labels[batch[i]];
        }
        _second.Transpose(work.Transposed);
        Parallel.For(0, (rows + BlockRows - 1) / BlockRows, design.Parallelism, block =>
        {
            var from = block * BlockRows;
            var n = Math.Min(BlockRows, rows - from);
            var padded = ProbeDesign.RowsAllocated(n);
            Span<float> a = work.A.AsSpan(from * _hidden, padded * _hidden), e = work.E.AsSpan(from * _padded, padded * _padded);
            Forward(work.X.AsSpan(from * _stride), padded, a, e);
            e[(n * _padded)..].Clear();
            for (var row = 0; row < n; row++)
            {
                var of = e.Slice(row * _padded, _padded);
                LinearProbe.Softmax(of);
                of[work.Labels[from + row]] -= 1;
                foreach (ref var v in of)
                    v /= rows;
            }
            // Back through the second layer, and through the rectifier: only where it let something pass.
            var d = work.D.AsSpan(from * _hidden, padded * _hidden);
            PanelProducts.Multiply(e, _padded, padded, work.Transposed, work.Zero, d, _hidden);
            for (var i = 0; i < d.Length; i++)
                d[i] = a[i] > 0 ? d[i] : 0;
        });
        work.First.Gradient(work.X, work.D, rows, design.Parallelism);
        work.Second.Gradient(work.A, work.E, rows, design.Parallelism);
    }

    /// <summary>A linear map with its bias; weights in panels of [inputs, outputs]. Holds parameters with Adam's moments, or gradients.</summary>
    private sealed class Layer(int inputs, int outputs)
    {
        private const float Beta1 = 0.9f, Beta2 = 0.999f, Epsilon = 1e-8f;
        private readonly float[] _m = new float[(inputs + 1) * outputs], _v = new float[(inputs + 1) * outputs];

        public int Inputs => inputs;
        public int Outputs => outputs;
        public float[] Weights { get; } = new float[inputs * outputs];
        public float[] Bias { get; } = new float[outputs];

        public void CopyFrom(Layer other)
        {
            other.Weights.CopyTo(Weights, 0);
            other.Bias.CopyTo(Bias, 0);
        }

        /// <summary>xᵀ e and Σ e, over the batch.</summary>
        public void Gradient(float[] x, float[] e, int rows, ParallelOptions parallel)
        {
            Array.Clear(Weights);
            Array.Clear(Bias);
            Parallel.ForEach(PanelProducts.Panels(outputs).ToArray(), parallel, panel =>
            {
                PanelProducts.AddTransposed(x, inputs, rows, e, outputs, panel.Start, panel.Width, Weights.AsSpan(panel.Start * inputs, panel.Width * inputs));
                for (var row = 0; row < rows; row++)
                    for (var c = panel.Start; c < panel.Start + panel.Width; c++)
                        Bias[c] += e[row * outputs + c];
            });
        }

        /// <summary>Adam (Kingma and Ba 2015).</summary>
        public void Step(Layer gradient, double rate, int step, ParallelOptions parallel)
        {
            var scale = (float)(rate / (1 - Math.Pow(Beta1, step)));
            var second = (float)(1 / (1 - Math.Pow(Beta2, step)));
            Parallel.ForEach(PanelProducts.Panels(outputs).ToArray(), parallel, panel =>
            {
                Step(Weights, gradient.Weights, 0, panel.Start * inputs, panel.Width * inputs, scale, second);
                Step(Bias, gradient.Bias, inputs * outputs, panel.Start, panel.Width, scale, second);
            });
        }

        private void Step(float[] of, float[] gradient, int moments, int from, int count, float scale, float second)
        {
            for (var i = from; i < from + count; i += Vector256<float>.Count)
            {
                var g = Vector256.Create(gradient, i);
                var m = Vector256.Create(_m, moments + i) * Beta1 + g * (1 - Beta1);
                var v = Vector256.Create(_v, moments + i) * Beta2 + g * g * (1 - Beta2);
                m.CopyTo(_m, moments + i);
                v.CopyTo(_v, moments + i);
                (Vector256.Create(of, i) - m * scale / (Vector256.Sqrt(v * second) + Vector256.Create(Epsilon))).CopyTo(of, i);
            }
        }

        /// <param name="into">Panels of [outputs, inputs].</param>
        public void Transpose(float[] into)
        {
            foreach (var (start, width) in PanelProducts.Panels(outputs))
                foreach (var (back, wide) in PanelProducts.Panels(inputs))
                    for (var j = back; j < back + wide; j++)
                        for (var c = 0; c < width; c++)
                            into[back * outputs + (start + c) * wide + j - back] = Weights[start * inputs + j * width + c];
        }
    }

    /// <summary>A batch on its way through, and its gradients.</summary>
    private sealed class Work(int stride, int hidden, int padded)
    {
        public float[] X { get; } = new float[Batch * stride];
        public int[] Labels { get; } = new int[Batch];
        public float[] A { get; } = new float[Batch * hidden];
        public float[] E { get; } = new float[Batch * padded];
        public float[] D { get; } = new float[Batch * hidden];
        public float[] Transposed { get; } = new float[padded * hidden];
        public float[] Zero { get; } = new float[hidden];
        public Layer First { get; } = new(stride, hidden);
        public Layer Second { get; } = new(hidden, padded);
    }
}
