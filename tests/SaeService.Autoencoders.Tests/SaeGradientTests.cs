using SaeService.TestSupport;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;

namespace SaeService.Autoencoders.Tests;

/// <summary>The hand-written gradient against libtorch's autograd of the loss as it is defined.</summary>
public sealed unsafe class SaeGradientTests
{
    [Theory]
    [InlineData(TrainingArchitecture.TopK, 8, 16, 4, 40, false)]
    [InlineData(TrainingArchitecture.TopK, 8, 16, 4, 40, true)]
    [InlineData(TrainingArchitecture.TopK, 32, 128, 8, 200, false)]
    [InlineData(TrainingArchitecture.TopK, 32, 128, 8, 200, true)]
    [InlineData(TrainingArchitecture.TopK, 17, 70, 5, 131, true)]
    [InlineData(TrainingArchitecture.TopK, 32, 64, 8, 200, true)]
    [InlineData(TrainingArchitecture.BatchTopK, 32, 128, 8, 200, false)]
    [InlineData(TrainingArchitecture.BatchTopK, 17, 70, 5, 431, true)]
    [InlineData(TrainingArchitecture.MatryoshkaBatchTopK, 32, 128, 8, 200, false)]
    [InlineData(TrainingArchitecture.MatryoshkaBatchTopK, 17, 70, 5, 431, true)]
    public void Every_parameter_has_the_gradient_of_autograd(TrainingArchitecture architecture, int d, int latents, int k, int rows, bool withDead)
    {
        using var scope = torch.NewDisposeScope();
        int[] dead = withDead ? [.. Enumerable.Range(0, latents).Where(f => f % 3 == 1)] : [];
        var (gradient, measures, x, variance, settings, p) = Setup(d, latents, k, rows, dead, project: false, architecture);
        var (we, be, wd, bd) = Leaves(p);
        var loss = Loss(x, we, be, wd, bd, settings, variance, dead, out var squaredError, out var aux);
        loss.backward();

        Assert.Equal(squaredError, measures.SquaredError, squaredError * 1e-5);
        Assert.Equal(aux, measures.AuxLoss, Math.Max(1e-12, aux * 1e-4));
        Assert.Equal(withDead, measures.AuxLoss > 0);
        Assert.Equal(architecture == TrainingArchitecture.MatryoshkaBatchTopK ? 5 : 1, settings.Prefixes.Count);
        Assert.Equal(rows == 431 ? 256 : rows, settings.AuxTokens(dead.Length));
        foreach (var (name, expected, actual) in new[]
        {
            ("W_enc", we.grad!, Dense(gradient, g => g.WEnc, p)), ("W_dec", wd.grad!, Dense(gradient, g => g.WDec, p)),
            ("b_enc", be.grad!, torch.tensor(Masked(gradient))), ("b_dec", bd.grad!, torch.tensor(gradient.Gradient.BDec.Slice(0, d).ToArray())),
        })
        {
            var error = ((actual - expected).norm() / expected.norm()).item<float>();
            Assert.True(error < 1e-4, $"{name}: relative error {error}");
            Assert.True(expected.norm().item<float>() > 1e-4, $"{name}: nothing to compare");
        }
        if (withDead)
            Assert.Contains(dead, f => gradient.Touched[f] && we.grad![f].norm().item<float>() > 0);
    }

    [Fact]
    public void Projection_takes_out_what_lies_along_the_decoder_row_and_the_norm_is_global()
    {
        using var scope = torch.NewDisposeScope();
        int[] dead = [1, 4, 7];
        var (gradient, measures, x, variance, settings, p) = Setup(32, 128, 8, 200, dead, project: true);
        var (we, be, wd, bd) = Leaves(p);
        Loss(x, we, be, wd, bd, settings, variance, dead, out _, out _).backward();
        var along = (wd.grad! * wd).sum(1, keepdim: true);
        var projected = wd.grad! - along * wd;
        var actual = Dense(gradient, g => g.WDec, p);
        Assert.True(((actual - projected).norm() / projected.norm()).item<float>() < 1e-4);
        Assert.True((actual * wd).sum(1).abs().max().item<float>() < 1e-5);
        Assert.True(along.norm().item<float>() > 0.01 * wd.grad!.norm().item<float>());
        var norm = Math.Sqrt(new[] { we.grad!, be.grad!, projected, bd.grad! }.Sum(g => (double)g.square().sum().item<float>()));
        Assert.Equal(norm, measures.GradientNorm, norm * 1e-4);
    }

    [Fact]
    public void A_step_is_clip_then_adam_then_renormalisation()
    {
        using var scope = torch.NewDisposeScope();
        const double Rate = 0.01, Factor = 0.25;
        var (gradient, _, _, _, _, p) = Setup(32, 128, 8, 200, [], project: true);
        var lanes = new Lanes(2);
        var adam = new Adam(p, new(32, 128), new(32, 128), lanes);
        var (leafWe, leafBe, leafWd, leafBd) = Leaves(p);
        Parameter we = new(leafWe), be = new(leafBe), wd = new(leafWd), bd = new(leafBd);
        using var oracle = torch.optim.Adam([we, be, wd, bd], Rate, 0.9, 0.999, 6.25e-10);
        var (gWe, gWd) = (Dense(gradient, g => g.WEnc, p), Dense(gradient, g => g.WDec, p));
        var (gBe, gBd) = (torch.tensor(Masked(gradient)), torch.tensor(gradient.Gradient.BDec.Slice(0, 32).ToArray()));
        for (var step = 1; step <= 3; step++)
        {
            // The second step has no gradient at all: everything moves under its momentum.
            var factor = step == 2 ? 0 : Factor;
            (we.grad, be.grad, wd.grad, bd.grad) = (gWe * factor, gBe * factor, gWd * factor, gBd * factor);
            Uncollected.Run(() => oracle.step());
            using (torch.no_grad())
                wd.div_(wd.norm(1, keepdim: true));
            adam.Step(gradient.Gradient, gradient.Touched, factor, Rate, step);
        }
        foreach (var (expected, actual) in new (torch.Tensor, torch.Tensor)[] { (we, Matrix(p.WEnc, p)), (wd, Matrix(p.WDec, p)), (be, torch.tensor(p.BEnc.Span.ToArray())) })
            Assert.True((actual - expected).abs().max().item<float>() < 2e-5);
        Assert.True((torch.tensor(p.BDec.Slice(0, 32).ToArray()) - bd).abs().max().item<float>() < 2e-5);
        Assert.True((Matrix(p.WDec, p).norm(1) - 1).abs().max().item<float>() < 1e-6);
    }

    private static (SaeGradient, BatchMeasures, torch.Tensor X, double Variance, SaeTrainingSettings, SaeParameters) Setup(
        int d, int latents, int k, int rows, int[] dead, bool project, TrainingArchitecture architecture = TrainingArchitecture.TopK)
    {
        var settings = new SaeTrainingSettings(d, latents, k, BatchTokens: rows) { Architecture = architecture, AuxBatchTokens = rows == 431 ? 200 : null };
        var p = new SaeParameters(d, latents);
        var lanes = new Lanes(2);
        p.Initialise(5, lanes);
        var random = new Random(7);
        for (var f = 0; f < latents; f++)
        {
            p.BEnc.Span[f] = 0.1f * (float)Scratch.Normal(random);
            foreach (ref var w in p.WEnc.Slice((long)f * p.Stride, d))
                w += 0.1f * (float)Scratch.Normal(random);
        }
        for (var j = 0; j < d; j++)
            p.BDec.Span[j] = 0.1f * (float)Scratch.Normal(random);
        var x = new float[rows * d];
        var centred = new AlignedBuffer<float>((long)rows * p.Stride);
        for (var i = 0; i < x.Length; i++)
        {
            x[i] = (float)Scratch.Normal(random);
            centred.Span[i / d * p.Stride + i % d] = x[i] - p.BDec.Span[i % d];
        }
        var variance = d * 1.1;
        var gradient = new SaeGradient(settings, p, lanes) { ProjectDecoder = project };
        var measures = gradient.Compute(centred.Pointer, rows, variance, dead);
        GC.KeepAlive(centred);
        return (gradient, measures, torch.tensor(x).reshape(rows, d), variance, settings, p);
    }

    private static torch.Tensor Loss(torch.Tensor x, torch.Tensor we, torch.Tensor be, torch.Tensor wd, torch.Tensor bd, SaeTrainingSettings s, double variance,
        int[] dead, out double squaredError, out double aux)
    {
        var pre = (x - bd).mm(we.t()) + be;                        // [B, F]
        var among = s.Architecture == TrainingArchitecture.TopK ? pre : pre.reshape(1, -1);
        var (values, indices) = among.topk(s.Architecture == TrainingArchitecture.TopK ? s.K : s.K * (int)x.shape[0], 1);
        var codes = torch.zeros_like(among).scatter(1, indices, values.relu()).reshape(pre.shape);
        var error = codes.mm(wd) + bd - x;                         // [B, d]
        squaredError = error.square().sum().item<float>();
        var loss = torch.zeros([]);
        foreach (var width in s.Prefixes)
            loss += (codes[.., ..width].mm(wd[..width]) + bd - x).square().sum() / (x.shape[0] * variance * s.Prefixes.Count);
        aux = 0;
        if (dead.Length == 0)
            return loss;
        var names = torch.tensor(dead.Select(f => (long)f).ToArray());
        var deadPre = pre.index_select(1, names)[..s.AuxTokens(dead.Length)];
        (values, indices) = deadPre.topk(Math.Min(s.AuxK, dead.Length), 1);
        var deadCodes = torch.zeros_like(deadPre).scatter(1, indices, values.relu());
        var residual = -error.detach()[..s.AuxTokens(dead.Length)];
        var auxLoss = (deadCodes.mm(wd.index_select(0, names)) - residual).square().sum() / (residual - residual.mean([0L], keepdim: true)).square().sum();
        aux = auxLoss.item<float>();
        return loss + s.AuxCoefficient * auxLoss;
    }

    private static (torch.Tensor We, torch.Tensor Be, torch.Tensor Wd, torch.Tensor Bd) Leaves(SaeParameters p) => (
        Matrix(p.WEnc, p).requires_grad_(), torch.tensor(p.BEnc.Span.ToArray()).requires_grad_(),
        Matrix(p.WDec, p).requires_grad_(), torch.tensor(p.BDec.Slice(0, p.DIn).ToArray()).requires_grad_());

    private static torch.Tensor Matrix(AlignedBuffer<float> values, SaeParameters p) =>
        torch.tensor(values.Span.ToArray()).reshape(p.DSae, p.Stride)[.., ..p.DIn].clone();

    private static torch.Tensor Dense(SaeGradient gradient, Func<SaeParameters, AlignedBuffer<float>> part, SaeParameters p) =>
        Matrix(part(gradient.Gradient), p) * torch.tensor(gradient.Touched.Select(t => t ? 1f : 0).ToArray()).unsqueeze(1);

    private static float[] Masked(SaeGradient gradient) =>
        [.. gradient.Gradient.BEnc.Span.ToArray().Select((g, f) => gradient.Touched[f] ? g : 0)];
}
