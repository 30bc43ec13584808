using SaeService.TestSupport;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Tests.Torch;

/// <summary>The loss as it is defined, dense, differentiated by autograd and followed by libtorch's own Adam: what a step must agree with.</summary>
internal sealed class DenseOracle : IDisposable
{
    private readonly SaeTrainingSettings _settings;
    private readonly Parameter _we, _be, _wd, _bd;
    private readonly optim.Optimizer _adam;

    public DenseOracle(SaeTrainingSettings settings, SaeParameters p)
    {
        _settings = settings;
        Parameter Leaf(AlignedBuffer<float> values, int rows, int stride, int columns) =>
            new(tensor(values.Slice(0, rows * stride).ToArray()).reshape(rows, stride)[.., ..columns].clone());
        (_we, _wd) = (Leaf(p.WEnc, p.DSae, p.Stride, p.DIn), Leaf(p.WDec, p.DSae, p.Stride, p.DIn));
        (_be, _bd) = (Leaf(p.BEnc, 1, p.DSae, p.DSae), Leaf(p.BDec, 1, p.Stride, p.DIn));
        _adam = optim.Adam([_we, _wd, _be, _bd], 1, 0.9, 0.999, 6.25e-10);
    }

    public double SquaredError { get; private set; }
    public double AuxLoss { get; private set; }
    public double Norm { get; private set; }
    public double SmallestKept { get; private set; }
    public long NonZeros { get; private set; }
    public bool[] Fired { get; private set; } = [];

    /// <summary>By the names of <see cref="SaeParameters.Tensors"/>; without projection until a step was taken.</summary>
    public Dictionary<string, Tensor> Gradients => new() { ["W_enc"] = _we.grad!, ["b_enc"] = _be.grad!, ["W_dec"] = _wd.grad!, ["b_dec"] = _bd.grad! };
    public Dictionary<string, Tensor> Parameters => new() { ["W_enc"] = _we, ["b_enc"] = _be, ["W_dec"] = _wd, ["b_dec"] = _bd };

    public void Differentiate(Tensor x, double variance, int[] dead) => Uncollected.Run(() => Derive(x, variance, dead));

    private void Derive(Tensor x, double variance, int[] dead)
    {
        foreach (var p in Parameters.Values)
            ((Parameter)p).grad = null;
        var pre = (x - _bd).mm(_we.t()) + _be;                              // [B, F]
        var codes = Codes(pre, x.shape[0]);
        var losses = new List<Tensor>();
        Tensor error = null!;
        foreach (var m in _settings.Prefixes)
        {
            error = codes[.., ..m].mm(_wd[..m]) + _bd - x;                  // [B, d]
            losses.Add(error.square().sum() / (x.shape[0] * variance));
        }
        var loss = stack(losses).mean();
        SquaredError = error.square().sum().item<float>();
        NonZeros = (codes > 0).sum().item<long>();
        Fired = (codes > 0).any(0).data<bool>().ToArray();
        AuxLoss = 0;
        if (dead.Length > 0)
        {
            var rows = Math.Min(x.shape[0], _settings.AuxTokens(dead.Length));
            var names = tensor(dead.Select(f => (long)f).ToArray());
            var deadPre = pre[..(int)rows].index_select(1, names);
            var (values, indices) = deadPre.topk(Math.Min(_settings.AuxK, dead.Length), 1);
            var deadCodes = zeros_like(deadPre).scatter(1, indices, values.relu());
            var residual = -error[..(int)rows].detach();
            var aux = (deadCodes.mm(_wd.index_select(0, names)) - residual).square().sum() / (residual - residual.mean([0L], keepdim: true)).square().sum();
            AuxLoss = aux.item<float>();
            loss += _settings.AuxCoefficient * aux;
        }
        loss.backward();
    }

    public void Step(Tensor x, double variance, int[] dead, double rate) => Uncollected.Run(() => Take(x, variance, dead, rate));

    private void Take(Tensor x, double variance, int[] dead, double rate)
    {
        using var scope = NewDisposeScope();
        Derive(x, variance, dead);
        using var _ = no_grad();
        _wd.grad!.sub_((_wd.grad * _wd).sum(1, keepdim: true) * _wd);
        Norm = Math.Sqrt(Gradients.Values.Sum(g => (double)g.square().sum().item<float>()));
        foreach (var gradient in Gradients.Values)
            gradient.mul_(Norm > _settings.ClipNorm ? _settings.ClipNorm / (Norm + 1e-6) : 1);
        foreach (var group in _adam.ParamGroups)
            group.LearningRate = rate;
        _adam.step();
        _wd.div_(_wd.norm(1, keepdim: true));
        scope.Detach(Gradients.Values.Where(g => g is not null));
    }

    private Tensor Codes(Tensor pre, long rows)
    {
        if (_settings.Architecture == TrainingArchitecture.TopK)
        {
            var (values, indices) = pre.topk(_settings.K, 1);
            var kept = values.detach().relu();
            SmallestKept = kept.masked_fill(kept <= 0, float.PositiveInfinity).amin([1L]).nan_to_num(posinf: 0).mean().item<float>();
            return zeros_like(pre).scatter(1, indices, values.relu());
        }
        var (largest, at) = pre.reshape(-1).relu().topk((int)rows * _settings.K, 0);
        SmallestKept = largest.min().item<float>();
        return zeros_like(pre).reshape(-1).scatter(0, at, largest).reshape(pre.shape);
    }

    public void Dispose()
    {
        _adam.Dispose();
        foreach (var p in Parameters.Values)
            p.Dispose();
    }
}
