using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary><see cref="SaeParameters"/> on a device, without padding: parameters, gradients or moments.</summary>
internal sealed class TorchParameters(int dIn, int dSae, Device device) : IDisposable
{
    public Tensor WEnc { get; } = zeros(dSae, dIn, device: device).DetachFromDisposeScope();   // [F, d]
    public Tensor WDec { get; } = zeros(dSae, dIn, device: device).DetachFromDisposeScope();   // [F, d], unit rows
    public Tensor BEnc { get; } = zeros(dSae, device: device).DetachFromDisposeScope();        // [F]
    public Tensor BDec { get; } = zeros(dIn, device: device).DetachFromDisposeScope();         // [d]

    public void CopyFrom(SaeParameters host, HostRows rows)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        rows.Upload(host.WEnc.Span, host.Stride, WEnc);
        rows.Upload(host.WDec.Span, host.Stride, WDec);
        rows.Upload(host.BEnc.Span, 1, BEnc.view(dSae, 1));
        rows.Upload(host.BDec.Span, 1, BDec.view(dIn, 1));
    }

    public void CopyTo(SaeParameters host, HostRows rows)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        rows.Download(WEnc, host.WEnc.Span, host.Stride);
        rows.Download(WDec, host.WDec.Span, host.Stride);
        rows.Download(BEnc.view(dSae, 1), host.BEnc.Span, 1);
        rows.Download(BDec.view(dIn, 1), host.BDec.Span, 1);
    }

    public void Dispose()
    {
        WEnc.Dispose();
        WDec.Dispose();
        BEnc.Dispose();
        BDec.Dispose();
    }
}
