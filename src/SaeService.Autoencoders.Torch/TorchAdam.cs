using SaeService.Transformers.Parts;
using TorchSharp;
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
        // Of this step alone, and held to its end: see Scalars.
        using Scalar size = (float)-(rate / (1 - Math.Pow(Beta1, step))), inverse = (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, step))), times = (float)factor;
        void Update(Func<TorchParameters, Tensor> part)
        {
            var (w, m, v, g) = (part(parameters), part(First), part(Second), part(gradient));
            g.mul_(times);
            m.mul_(Scalars.Of((double)Beta1)).add_(g, Scalars.Of((double)(1 - Beta1)));
            v.mul_(Scalars.Of((double)Beta2)).addcmul_(g, g, Scalars.Of((double)(1 - Beta2))).threshold_(TinySquare, 0);
            m.mul_(g.copy_(m).abs_().gt_(Scalars.Of((double)Tiny)));
            w.addcdiv_(m, g.copy_(v).sqrt_().mul_(inverse).add_(Scalars.Of((double)Epsilon), Scalars.Of(1L)), size);
        }
        Update(p => p.WEnc);
        Update(p => p.WDec);
        Update(p => p.BEnc);
        Update(p => p.BDec);
        var norms = parameters.WDec.norm(1, keepdim: true);                 // [F, 1]
        parameters.WDec.div_(norms.masked_fill_(norms.eq(Scalars.Of(0L)), Scalars.Of(1L)));
    }

    public void Dispose()
    {
        First.Dispose();
        Second.Dispose();
    }
}
