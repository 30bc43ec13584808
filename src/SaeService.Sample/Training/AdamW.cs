using static TorchSharp.torch;

namespace SaeService.Sample.Training;

/// <summary>
/// AdamW (Loshchilov and Hutter, 2019) in place, under no_grad. Decay applies to matrices only, as in GPT-2 and Llama.
/// TorchSharp's own optimizer allocates a scope of temporaries a parameter and step; here a step is six kernels a parameter.
/// </summary>
internal sealed class AdamW : IDisposable
{
    private const double Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8;

    private readonly (Tensor Value, Tensor First, Tensor Second)[] _parameters;
    private readonly double _weightDecay;
    private int _step;

    public AdamW(IEnumerable<Tensor> parameters, double weightDecay)
    {
        using var scope = NewDisposeScope();
        _parameters = [.. parameters.Select(p => (p, zeros_like(p).DetachFromDisposeScope(), zeros_like(p).DetachFromDisposeScope()))];
        _weightDecay = weightDecay;
    }

    /// <summary>Scales all gradients so that their joint norm is at most <paramref name="limit"/>; returns the norm before.</summary>
    public double ClipGradients(double limit)
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var squares = _parameters.Select(p => p.Value.grad!.square().sum()).ToArray();
        var norm = Math.Sqrt(stack(squares).sum().item<float>());
        if (norm > limit)
            foreach (var (value, _, _) in _parameters)
                value.grad!.mul_(limit / (norm + 1e-6));
        return norm;
    }

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        _step++;
        var correction1 = 1 - Math.Pow(Beta1, _step);
        var correction2 = Math.Sqrt(1 - Math.Pow(Beta2, _step));
        foreach (var (value, first, second) in _parameters)
        {
            var gradient = value.grad!;
            first.mul_(Beta1).add_(gradient, 1 - Beta1);
            second.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
            if (value.dim() > 1)
                value.mul_(1 - learningRate * _weightDecay);
            value.addcdiv_(first, second.sqrt().add_(Epsilon * correction2), -learningRate * correction2 / correction1);
            gradient.zero_();
        }
    }

    public void Dispose()
    {
        foreach (var (_, first, second) in _parameters)
        {
            first.Dispose();
            second.Dispose();
        }
    }
}
