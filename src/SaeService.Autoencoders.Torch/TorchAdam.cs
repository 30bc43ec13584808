using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary><see cref="Adam"/> in libtorch's operators, in place: its gradient is spent as scratch, so a step allocates nothing of the parameters' size.</summary>
internal sealed class TorchAdam(TorchParameters parameters, int dIn, int dSae, Device device) : IDisposable
{
    private const float Beta1 = 0.9f, Beta2 = 0.999f, Epsilon = 6.25e-10f;

    // As on the CPU: a run may go on there, where subnormal moments would be slow.
    private const float Tiny = 1e-30f, TinySquare = 1e-37f;

    public TorchParameters First { get; } = new(dIn, dSae, device);
    public TorchParameters Second { get; } = new(dIn, dSae, device);

    /// <param name="gradient">Overwritten.</param>
    /// <param name="factor">Multiplies the gradient (clipping).</param>
    /// <param name="rate">Learning rate of this step.</param>
    /// <param name="step">Number of this step, from 1.</param>
    public void Step(TorchParameters gradient, double factor, double rate, long step)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var size = (float)(rate / (1 - Math.Pow(Beta1, step)));
        var inverse = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, step)));
        void Update(Func<TorchParameters, Tensor> part)
        {
            var (w, m, v, g) = (part(parameters), part(First), part(Second), part(gradient));
            g.mul_((float)factor);
            m.mul_(Beta1).add_(g, 1 - Beta1);
            v.mul_(Beta2).addcmul_(g, g, 1 - Beta2).threshold_(TinySquare, 0);
            m.mul_(g.copy_(m).abs_().gt_(Tiny));
            w.addcdiv_(m, g.copy_(v).sqrt_().mul_(inverse).add_(Epsilon), -size);
        }
        Update(p => p.WEnc);
        Update(p => p.WDec);
        Update(p => p.BEnc);
        Update(p => p.BDec);
        var norms = parameters.WDec.norm(1, keepdim: true);                 // [F, 1]
        parameters.WDec.div_(norms.masked_fill_(norms == 0, 1));
    }

    public void Dispose()
    {
        First.Dispose();
        Second.Dispose();
    }
}
