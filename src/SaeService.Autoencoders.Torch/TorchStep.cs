using System.Runtime.InteropServices;
using SaeService.Transformers.Parts;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>
/// A training step in libtorch's operators, on any device: the mathematics of <see cref="SaeGradient"/> and <see cref="Adam"/>, with parameters, gradients and
/// moments where the device is. Made for CUDA; on a CPU the kernels beside it are many times faster.
/// </summary>
/// <remarks>
/// The gradient is written by hand and sparse: pre-activations of some tokens at a time, all sums over entries as embedding bags (<see cref="Bags"/>), products
/// with decoder rows gathered or dense, whichever is less. No autograd, no [B, F] and no [entries, d]. All is float32, TF32 left as libtorch has it (off).
/// <para>What is reproducible: on a CPU the bits, for a number of threads. On CUDA nothing adds up in an order left to chance (no atomics, sorts are stable), so
/// one card with one version of its libraries gives the same bits as a rule; but cuBLAS promises that only for one stream and one workspace, and another
/// card adds up in another order. That a resumed run ends in the bits of an undisturbed one is therefore promised for the CPU trainer alone.</para>
/// </remarks>
internal sealed class TorchStep : ITrainingStep
{
    private readonly SaeTrainingSettings _settings;
    private readonly int[] _prefixes;           // widths, ascending; the last is F
    private readonly bool _batchTopK;
    private readonly Device _device;
    private readonly long _chunk;
    private readonly TorchParameters _p, _gradient;
    private readonly TorchAdam _adam;
    private readonly TorchEncoder _encoder;
    private readonly HostRows _host;
    private readonly Tensor _scratch;           // [chunk], pre-activations of some tokens
    private readonly Tensor _x;                 // [B, d], s (x - mean) - b_dec
    private readonly Tensor _error;             // [B, d], e of the widest prefix, and then of the narrower ones
    private readonly Tensor _errorSum;          // [B, d], sum of e_m over the prefixes from m on; the same as the error where there is one prefix
    private readonly Tensor _one;               // [1, 1]
    private readonly BagTable _decoderRows, _xRows, _errorRows, _ones;
    private Auxiliary? _aux;

    /// <summary>Only needed, and only allocated, once a latent has died.</summary>
    private sealed class Auxiliary : IDisposable
    {
        public Tensor Error { get; }            // [aux tokens, d], ê + e
        public BagTable ErrorRows { get; }

        public Auxiliary(long tokens, long d, Device device)
        {
            Error = zeros(tokens, d, device: device).DetachFromDisposeScope();
            ErrorRows = new(Error);
        }

        public void Dispose()
        {
            ErrorRows.Dispose();
            Error.Dispose();
        }
    }

    /// <param name="settings">Checked by the caller.</param>
    /// <param name="initial">Copied to the device.</param>
    /// <param name="device">Where all of it is held and computed.</param>
    /// <param name="chunk">Floats of a temporary, about: bounds the memory beside what is held. Absent: <see cref="DefaultChunk"/>.</param>
    /// <exception cref="ArgumentException">Parameters of another shape.</exception>
    public TorchStep(SaeTrainingSettings settings, SaeParameters initial, Device device, long? chunk = null)
    {
        var (d, f, b) = (settings.DIn, settings.DSae, settings.BatchTokens);
        if ((initial.DIn, initial.DSae) != (d, f))
            throw new ArgumentException($"the parameters are of {initial.DIn} to {initial.DSae}, the settings of {d} to {f}", nameof(initial));
        _prefixes = [.. settings.Prefixes];
        (_settings, _device, _batchTopK) = (settings, device, settings.Architecture != TrainingArchitecture.TopK);
        _chunk = chunk ?? DefaultChunk(device);

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (_p, _gradient) = (new(d, f, device), new(d, f, device));
        _adam = new(_p, d, f, device);
        _host = new(device, d);
        _scratch = empty(Math.Max(f, Math.Min(_chunk, (long)b * f)), device: device).DetachFromDisposeScope();
        _encoder = new(_scratch);
        _x = zeros(b, d, device: device).DetachFromDisposeScope();
        _error = zeros(b, d, device: device).DetachFromDisposeScope();
        _errorSum = _prefixes.Length == 1 ? _error : zeros(b, d, device: device).DetachFromDisposeScope();
        _one = ones(1, 1, device: device).DetachFromDisposeScope();
        (_decoderRows, _xRows, _errorRows, _ones) = (new(_p.WDec), new(_x), new(_errorSum), new(_one));
        Fired = new bool[f];
        _p.CopyFrom(initial, _host);
    }

    public static long DefaultChunk(Device device) => device.type == DeviceType.CUDA ? DeviceMemory.GpuChunk : DeviceMemory.CpuChunk;

    /// <summary>[F]: which latents had a value above 0 in the last batch.</summary>
    public bool[] Fired { get; }

    /// <summary>Takes the component along the (unit) decoder row out of its gradient. Off only to compare with an unconstrained gradient.</summary>
    public bool ProjectDecoder { get; init; } = true;

    /// <summary>What is on the device now, into the buffers of the CPU trainer: parameters and both of Adam's moments, so a checkpoint can be written.</summary>
    public void CopyTo(SaeParameters parameters, SaeParameters first, SaeParameters second)
    {
        _p.CopyTo(parameters, _host);
        _adam.First.CopyTo(first, _host);
        _adam.Second.CopyTo(second, _host);
    }

    /// <summary>Goes on from what <see cref="CopyTo"/>, or a checkpoint of either trainer, gave.</summary>
    public void CopyFrom(SaeParameters parameters, SaeParameters first, SaeParameters second)
    {
        _p.CopyFrom(parameters, _host);
        _adam.First.CopyFrom(first, _host);
        _adam.Second.CopyFrom(second, _host);
    }

    public BatchMeasures Compute(TrainingBatches batches, bool last, ReadOnlySpan<int> dead) =>
        Compute(batches.Scaled(), SaeTrainingSettings.Padded(_settings.DIn), _settings.BatchTokens, batches.Variance, dead);

    void ITrainingStep.Apply(double factor, double rate, long step) => Step(factor, rate, step);
    bool ITrainingStep.Fired(int latent) => Fired[latent];
    void ITrainingStep.Save(TrainerState state) => CopyTo(state.Parameters, state.First, state.Second);
    void ITrainingStep.Load(TrainerState state) => CopyFrom(state.Parameters, state.First, state.Second);

    /// <summary>The gradient of the last batch; spent once <see cref="Step"/> has taken it.</summary>
    internal void CopyGradientTo(SaeParameters gradient) => _gradient.CopyTo(gradient, _host);

    /// <summary>Loss and gradient of a batch.</summary>
    /// <param name="x">[rows, stride], s (x - mean): b_dec is taken away here.</param>
    /// <param name="stride">Floats from one row to the next.</param>
    /// <param name="rows">At most the settings' batch.</param>
    /// <param name="variance">Var of the loss: mean ‖x - mean‖² over the sample.</param>
    /// <param name="dead">Latents of the auxiliary loss, ascending.</param>
    public BatchMeasures Compute(ReadOnlySpan<float> x, int stride, int rows, double variance, ReadOnlySpan<int> dead)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, _settings.BatchTokens);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var batch = _x.narrow(0, 0, rows);
        _host.Upload(x, stride, batch);
        batch.MinusInPlace(_p.BDec);

        var (chosen, least) = Encode(batch);
        MarkFired(chosen);
        var groups = Groups(chosen, rows);
        var error = _error.narrow(0, 0, rows);
        error.copy_(batch).neg_();
        foreach (var group in groups)
            group.Decode(_decoderRows, (first, sums) => error.narrow(0, first, sums.shape[0]).PlusInPlace(sums));
        var squaredError = SquaredNorm(error);

        var (aux, auxLoss, auxFactor) = dead.Length > 0 && _settings.AuxCoefficient > 0 ? Residual(batch, error, dead) : default;
        var factor = (float)(2 / (rows * variance * _prefixes.Length));
        var errorSum = Backward(groups, error, factor);
        if (auxFactor != 0)
            Backward(aux!, auxFactor);
        var squaredNorm = Finish(errorSum, factor);
        var measures = Read(squaredError, (chosen.Value > 0).sum(), least, squaredNorm);
        return new(measures[0], auxLoss, (long)measures[1], measures[2], Math.Sqrt(measures[3]));
    }

    /// <summary>Adam on the gradient of the last batch, and unit rows of the decoder.</summary>
    /// <param name="factor">Multiplies the gradient (clipping).</param>
    /// <param name="rate">Learning rate of this step.</param>
    /// <param name="step">Number of this step, from 1.</param>
    public void Step(double factor, double rate, long step) => _adam.Step(_gradient, factor, rate, step);

    /// <returns>The entries, and what <see cref="BatchMeasures.SmallestKept"/> says of them.</returns>
    private (Chosen, Tensor Least) Encode(Tensor batch)
    {
        if (_batchTopK)
        {
            var (entries, least) = _encoder.BatchTopK(batch, _p.WEnc, _p.BEnc, checked((int)batch.shape[0] * _settings.K));
            return (entries, tensor(least));
        }
        var chosen = _encoder.TopK(batch, _p.WEnc, _p.BEnc, _settings.K);
        var values = chosen.Value.view(batch.shape[0], _settings.K);
        var leasts = values.masked_fill(values.le(Scalars.Of(0L)), Scalars.Of(double.PositiveInfinity)).amin([1L]);
        return (chosen, leasts.masked_fill_(leasts.eq(Scalars.Of(double.PositiveInfinity)), Scalars.Of(0L)).mean());
    }

    private void MarkFired(Chosen chosen)
    {
        // Counts are whole numbers: the same in whatever order they are added up.
        var counts = zeros(_settings.DSae, device: _device).index_add_(0, chosen.Latent, (chosen.Value > 0).to(ScalarType.Float32), 1);
        (counts > 0).cpu().bytes.CopyTo(MemoryMarshal.AsBytes(Fired.AsSpan()));
    }

    /// <summary>Entries by the first prefix that a latent is in.</summary>
    private List<Entries> Groups(Chosen chosen, int rows)
    {
        if (_prefixes.Length == 1)
            return [new(chosen, rows, 0, _settings.DSae, null, _p.WDec, _chunk)];
        var groups = new List<Entries>();
        for (var (g, from) = (0, 0); g < _prefixes.Length; from = _prefixes[g++])
        {
            var at = chosen.Latent.ge(Scalars.Of((long)from)).logical_and(chosen.Latent.lt(Scalars.Of((long)_prefixes[g]))).nonzero().squeeze(1);
            var some = new Chosen(chosen.Row.index_select(0, at), chosen.Latent.index_select(0, at).sub(Scalars.Of((long)from)), chosen.Value.index_select(0, at));
            groups.Add(new(some, rows, from, _prefixes[g] - from, null, _p.WDec, _chunk));
        }
        return groups;
    }

    /// <summary>ê + e of the dead latents' top k_aux, which the first tokens' residual -e is reconstructed with.</summary>
    /// <returns>The entries, the loss, and what ê + e times is the gradient: 0 where the residual does not vary.</returns>
    private (Entries? Entries, double Loss, float Factor) Residual(Tensor batch, Tensor error, ReadOnlySpan<int> dead)
    {
        var rows = Math.Min(batch.shape[0], _settings.AuxTokens(dead.Length));
        _aux ??= new(_settings.BatchTokens, _settings.DIn, _device);
        var names = tensor(Array.ConvertAll(dead.ToArray(), f => (long)f), ScalarType.Int64, _device);
        var chosen = _encoder.TopK(batch.narrow(0, 0, rows), _p.WEnc.index_select(0, names), _p.BEnc.index_select(0, names), Math.Min(_settings.AuxK, dead.Length));
        var entries = new Entries(chosen, rows, 0, dead.Length, names, _p.WDec, _chunk);
        var (residual, target) = (error.narrow(0, 0, rows), _aux.Error.narrow(0, 0, rows));
        target.copy_(residual);
        entries.Decode(_decoderRows, (first, sums) => target.narrow(0, first, sums.shape[0]).PlusInPlace(sums));

        var squares = Read(SquaredNorm(residual), SquaredNorm(residual.sum([0L])), SquaredNorm(target));
        var variance = squares[0] - squares[1] / rows;                      // sum ‖e - mean e‖²
        var loss = squares[2] / variance;
        return variance > 0 && double.IsFinite(loss) ? (entries, loss, (float)(2 * _settings.AuxCoefficient / variance)) : default;
    }

    /// <summary>Writes all latents' gradients. A latent takes part in the prefix of its group and all wider ones: its error is the sum of theirs.</summary>
    /// <param name="error">e of the last prefix; spent where there are several.</param>
    /// <returns>[rows, d], the sum over all prefixes.</returns>
    private Tensor Backward(List<Entries> groups, Tensor error, float factor)
    {
        var sum = _errorSum.narrow(0, 0, error.shape[0]);
        if (groups.Count > 1)
            sum.zero_();
        foreach (var group in Enumerable.Reverse(groups))
        {
            if (groups.Count > 1)
                sum.PlusInPlace(error);
            group.Backward(sum, _errorRows, _xRows, _ones, factor, _scratch,
                (first, sums) => _gradient.WDec.narrow(0, group.First + first, sums.shape[0]).copy_(sums),
                (first, sums) => _gradient.WEnc.narrow(0, group.First + first, sums.shape[0]).copy_(sums),
                (first, sums) => _gradient.BEnc.narrow(0, group.First + first, sums.shape[0]).copy_(sums));
            if (group.First > 0)   // e of the next narrower prefix
                group.Decode(_decoderRows, (first, sums) => error.narrow(0, first, sums.shape[0]).MinusInPlace(sums));
        }
        return sum;
    }

    /// <summary>Adds the dead latents' gradients from the residual. Each is named once, so what index_add does on CUDA has one order.</summary>
    private void Backward(Entries dead, float factor)
    {
        Action<long, Tensor> AddTo(Tensor gradient) => (first, sums) => gradient.index_add_(0, dead.Names!.narrow(0, first, sums.shape[0]), sums, Scalars.Of(1L));
        dead.Backward(_aux!.Error, _aux.ErrorRows, _xRows, _ones, factor, _scratch, AddTo(_gradient.WDec), AddTo(_gradient.WEnc), AddTo(_gradient.BEnc));
    }

    /// <summary>Projection, b_dec's gradient (less what reaches it through the encoder's x - b_dec), and the square of the global norm.</summary>
    private Tensor Finish(Tensor errorSum, float factor)
    {
        for (long f = 0, size = Math.Max(1, _chunk / _settings.DIn); ProjectDecoder && f < _settings.DSae; f += size)
        {
            using var scope = NewDisposeScope();
            var some = Math.Min(size, _settings.DSae - f);
            var (g, w) = (_gradient.WDec.narrow(0, f, some), _p.WDec.narrow(0, f, some));
            g.addcmul_((g * w).sum(1, keepdim: true), w, Scalars.Of(-1L));
        }
        using Scalar times = factor;
        _gradient.BDec.copy_(errorSum.sum([0L])).mul_(times).MinusInPlace(_gradient.BEnc.unsqueeze(0).mm(_p.WEnc).squeeze(0));
        return SquaredNorm(_gradient.WEnc).Plus(SquaredNorm(_gradient.WDec)).Plus(SquaredNorm(_gradient.BEnc)).Plus(SquaredNorm(_gradient.BDec));
    }

    private static Tensor SquaredNorm(Tensor t) => t.norm().to(ScalarType.Float64).square();

    private static double[] Read(params ReadOnlySpan<Tensor> numbers)
    {
        var all = new Tensor[numbers.Length];
        for (var i = 0; i < all.Length; i++)
            all[i] = numbers[i].to(ScalarType.Float64).to(numbers[0].device);
        return stack(all).cpu().data<double>().ToArray();
    }

    private IEnumerable<Tensor> Buffers => new[] { _scratch, _x, _error, _one, _errorSum }.Take(_prefixes.Length == 1 ? 4 : 5);

    /// <summary>What it holds on the device from step to step.</summary>
    internal long HeldBytes => new[] { _p, _gradient, _adam.First, _adam.Second }.SelectMany(p => new[] { p.WEnc, p.WDec, p.BEnc, p.BDec })
        .Concat(Buffers).Concat(_aux is null ? [] : [_aux.Error]).Sum(t => t.numel() * t.element_size());

    public void Dispose()
    {
        foreach (var part in new IDisposable?[] { _decoderRows, _xRows, _errorRows, _ones, _aux, _p, _gradient, _adam, _host })
            part?.Dispose();
        foreach (var buffer in Buffers)
            buffer.Dispose();
    }
}
