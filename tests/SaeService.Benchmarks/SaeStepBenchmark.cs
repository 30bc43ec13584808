using System.Text.Json.Serialization;
using SaeService.Autoencoders;
using SaeService.Autoencoders.Screens;
using SaeService.Autoencoders.Torch;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SaeService.Benchmarks;

/// <summary>
/// A whole training step beside the encoder's matrix product alone and beside two other ways to take the same step in the same libtorch: dense
/// autograd, as SAELens and dictionary_learning do, and gathered rows, as sparsify does. On a device named, ours is the step of libtorch's operators there.
/// </summary>
internal static class SaeStepBenchmark
{
    /// <param name="Kernel">What the encoder of our step is made of: a screen of the CPU trainer, or libtorch.</param>
    /// <param name="Step">Ours, of the CPU read from a file of activations, elsewhere uploaded: centre, encode, exact top-k, decode, loss, gradients, projection,
    /// clipping, Adam, renormalisation.</param>
    /// <param name="StepAuxK">The same with the auxiliary loss on a tenth of the latents, which are dead.</param>
    /// <param name="EncoderGemm">[B, d] x [d, F] by libtorch into a buffer that is used again.</param>
    public sealed record Row(
        [property: JsonPropertyName("d")] int D, [property: JsonPropertyName("F")] int F, [property: JsonPropertyName("k")] int K, [property: JsonPropertyName("B")] int B,
        string Device, int Threads, string Kernel, double Step, double StepAuxK, double EncoderGemm, double? DenseAutograd, double? SparseTorch, double StepOverGemm, double AuxKOverGemm,
        double? DenseOverStep, double? SparseOverStep, int Rounds);

    private static readonly (int D, int F, int K, int B)[] Sizes = [(288, 2304, 32, 4096), (512, 16384, 32, 4096), (768, 24576, 32, 2048)];

    /// <param name="rounds">Of each measurement, in turns.</param>
    /// <param name="size">Which of the sizes; absent: all.</param>
    /// <param name="oursOnly">Leaves the two peers out, which take most of the time.</param>
    /// <param name="on">Measures the step in libtorch's operators on this device; absent: the trainer of the CPU.</param>
    public static IReadOnlyList<Row> Run(int rounds, int? size = null, bool oursOnly = false, string? on = null)
    {
        if (on is not null)
            InitializeDeviceType(on.StartsWith("cuda", StringComparison.Ordinal) ? DeviceType.CUDA : DeviceType.CPU);
        return [.. Sizes.Where((_, i) => size is null || i == size).Select(s => Measure(s.D, s.F, s.K, s.B, rounds, oursOnly, on))];
    }

    private static Row Measure(int d, int f, int k, int b, int rounds, bool oursOnly, string? on)
    {
        var folder = Directory.CreateTempSubdirectory("sae-bench-");
        try
        {
            using var activations = Mixture(Path.Combine(folder.FullName, "activations.f32"), 2 * b, d);
            var settings = new SaeTrainingSettings(d, f, k, Seed: 1, TrainTokens: 1_000_000_000, BatchTokens: b);
            var device = torch.device(on ?? "cpu");
            using var scope = NewDisposeScope();
            var x = Batch(activations, b);                                 // [B, d]
            var (ours, withDead) = on is null ? Trainers(settings, activations) : (Steps(settings, x, device, 0), Steps(settings, x, device, f / 10));
            x = x.to(device);
            using var product = empty(b, f, device: device);
            using var weights = randn(f, d, device: device);
            using var transposed = weights.t();                            // [d, F]
            using var dense = new DensePeer(d, f, k, device);
            using var sparse = new SparsePeer(d, f, k, device);
            var measurements = new List<Action>
            {
                ours,
                withDead,
                () =>
                {
                    using var _ = no_grad();
                    product.addmm_(x, transposed, 0, 1);
                },
            };
            if (!oursOnly)
                measurements.AddRange([() => dense.Step(x), () => sparse.Step(x)]);
            // A GPU's operators are only queued when a call returns.
            var ms = Report.Interleaved(rounds, device.type == DeviceType.CUDA ? () => cuda.synchronize(device) : null, [.. measurements]);
            double? At(int i) => i < ms.Length ? Math.Round(ms[i], 2) : null;
            double? Over(int i, int j) => i < ms.Length ? Math.Round(ms[i] / ms[j], 3) : null;
            return new(d, f, k, b, on ?? "cpu", get_num_threads(), on is null ? Screen.Fastest : "libtorch", At(0)!.Value, At(1)!.Value, At(2)!.Value, At(3), At(4),
                Over(0, 2)!.Value, Over(1, 2)!.Value, Over(3, 0), Over(4, 0), rounds);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static (Action Step, Action WithDead) Trainers(SaeTrainingSettings settings, ActivationFile activations)
    {
        var rows = Enumerable.Range(0, 2 * settings.BatchTokens).ToArray();
        var ours = new SaeTrainer(settings, activations, rows);
        var withDead = new SaeTrainer(settings with { DeadAfterTokens = 1L << 60 }, activations, rows);
        Warm(ours);
        withDead.Step();
        Kill(withDead.State.Parameters, settings.DSae / 10);
        withDead.State.SinceFired.AsSpan(0, settings.DSae / 10).Fill(withDead.Settings.DeadAfter);
        Warm(withDead);
        return (() => ours.Step(), () => withDead.Step());
    }

    /// <summary>
    /// Steps until the runtime has compiled everything in its last form, which it does behind one's back once something was called often and some time has passed: a
    /// training run has thousands of steps, a measurement ten.
    /// </summary>
    private static void Warm(SaeTrainer trainer)
    {
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 4; i++)
                trainer.Step();
            Thread.Sleep(250);
        }
    }

    /// <summary>Steps on a batch of <paramref name="x"/> [B, d] that is uploaded each time. What they hold goes with the process.</summary>
    private static Action Steps(SaeTrainingSettings settings, Tensor x, Device device, int deadLatents)
    {
        const double Rate = 1e-4;
        var p = new SaeParameters(settings.DIn, settings.DSae);
        p.Initialise(1, new Lanes());
        Kill(p, deadLatents);
        var (batch, variance) = (x.data<float>().ToArray(), x.var(0).sum().item<float>());
        var dead = Enumerable.Range(0, deadLatents).ToArray();
        var step = new TorchStep(settings, p, device);
        var number = 0L;
        return () =>
        {
            var norm = step.Compute(batch, settings.DIn, settings.BatchTokens, variance, dead).GradientNorm;
            step.Step(norm > settings.ClipNorm ? settings.ClipNorm / (norm + 1e-6) : 1, Rate, ++number);
        };
    }

    /// <summary>
    /// Has the first latents stay dead once they are said to be: small pre-activations, half of them positive, are never among the k largest of a token, and all that the
    /// auxiliary loss wants.
    /// </summary>
    private static unsafe void Kill(SaeParameters p, int latents)
    {
        for (var f = 0; f < latents; f++)
            RowKernel.Scale(p.WEnc.Pointer + (long)f * p.Stride, 1e-3f, p.Stride);
    }

    /// <summary>Sparse mixtures of random directions with a little noise: activations that an autoencoder has something to find in.</summary>
    private static ActivationFile Mixture(string path, int rows, int d)
    {
        const int Directions = 4096, Active = 24;
        var random = new Random(1);
        var directions = new float[Directions][];
        for (var i = 0; i < Directions; i++)
        {
            directions[i] = [.. Enumerable.Range(0, d).Select(_ => (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5))];
            var norm = MathF.Sqrt(directions[i].Sum(v => v * v));
            for (var j = 0; j < d; j++)
                directions[i][j] /= norm;
        }
        using (var writer = new ActivationWriter(path, rows, d))
        {
            var row = new float[d];
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < d; j++)
                    row[j] = 1 + (0.02f * (float)(random.NextDouble() - 0.5));
                for (var a = 0; a < Active; a++)
                {
                    var (direction, strength) = (directions[random.Next(Directions)], (float)(0.5 + random.NextDouble()));
                    for (var j = 0; j < d; j++)
                        row[j] += strength * direction[j];
                }
                writer.Write(i, row);
            }
            writer.Complete();
        }
        return ActivationFile.Open(path, d);
    }

    private static Tensor Batch(ActivationFile activations, int b)
    {
        var values = new float[b * activations.Dim];
        activations.Gather([.. Enumerable.Range(0, b)], values);
        return tensor(values).reshape(b, activations.Dim);
    }

    /// <summary>What both peers do alike: parameters, clipping, Adam as libtorch's own composite has it, unit rows of the decoder.</summary>
    private abstract class Peer : IDisposable
    {
        private const double Rate = 1e-4, Beta1 = 0.9, Beta2 = 0.999;
        private readonly Tensor[] _first, _second;
        private int _step;

        protected Peer(int d, int f, Device device)
        {
            manual_seed(1);
            WDec = new Parameter(nn.functional.normalize(randn(f, d, device: device), dim: 1)); // [F, d]
            WEnc = new Parameter(WDec.detach().clone());                                        // [F, d]
            BEnc = new Parameter(zeros(f, device: device));
            BDec = new Parameter(zeros(d, device: device));
            _first = [.. All.Select(p => zeros_like(p).DetachFromDisposeScope())];
            _second = [.. All.Select(p => zeros_like(p).DetachFromDisposeScope())];
        }

        protected Parameter WEnc { get; }
        protected Parameter WDec { get; }
        protected Parameter BEnc { get; }
        protected Parameter BDec { get; }
        private Parameter[] All => [WEnc, WDec, BEnc, BDec];

        public void Step(Tensor x)
        {
            using var scope = NewDisposeScope();
            var gradients = Gradients(x);
            using var _ = no_grad();
            gradients[1].sub_((gradients[1] * WDec).sum(1, keepdim: true) * WDec);
            var norm = gradients.Aggregate(zeros(1, device: x.device), (sum, g) => sum + g.square().sum()).sqrt();
            var factor = (1 / (norm + 1e-6)).clamp_(max: 1);
            _step++;
            for (var i = 0; i < gradients.Length; i++)
            {
                gradients[i].mul_(factor);
                _first[i].lerp_(gradients[i], 1 - Beta1);
                _second[i].mul_(Beta2).addcmul_(gradients[i], gradients[i], 1 - Beta2);
                var divisor = _second[i].sqrt().div_(Math.Sqrt(1 - Math.Pow(Beta2, _step))).add_(6.25e-10);
                All[i].addcdiv_(_first[i], divisor, -Rate / (1 - Math.Pow(Beta1, _step)));
            }
            WDec.div_(WDec.norm(1, keepdim: true));
        }

        /// <returns>Of W_enc, W_dec, b_enc, b_dec.</returns>
        protected abstract Tensor[] Gradients(Tensor x);

        protected static Tensor[] Taken(params Parameter[] parameters)
        {
            var taken = parameters.Select(p => p.grad!).ToArray();
            foreach (var p in parameters)
                p.grad = null;
            return taken;
        }

        public void Dispose()
        {
            foreach (var tensor in All.Concat(_first).Concat(_second))
                tensor.Dispose();
        }
    }

    /// <summary>Everything dense, differentiated by autograd.</summary>
    private sealed class DensePeer(int d, int f, int k, Device device) : Peer(d, f, device)
    {
        protected override Tensor[] Gradients(Tensor x)
        {
            var pre = nn.functional.linear(x - BDec, WEnc, BEnc);                           // [B, F]
            var (values, indices) = pre.relu().topk(k, 1);
            var codes = zeros_like(pre).scatter(1, indices, values);                        // [B, F]
            var loss = (codes.mm(WDec) + BDec - x).square().sum() / x.shape[0];
            loss.backward();
            return Taken(WEnc, WDec, BEnc, BDec);
        }
    }

    /// <summary>A dense encoder; decoder as an embedding bag; the encoder's gradient added up over [B k, d] contributions.</summary>
    private sealed class SparsePeer : Peer
    {
        private readonly int _k;
        private readonly EmbeddingBag _bag;

        public SparsePeer(int d, int f, int k, Device device) : base(d, f, device)
        {
            _k = k;
            _bag = nn.EmbeddingBag(f, d, mode: EmbeddingBagMode.Sum, device: device);
            _bag.weight = WDec;
        }

        protected override Tensor[] Gradients(Tensor x)
        {
            Tensor centred, values, indices;
            using (no_grad())
            {
                centred = x - BDec;
                (values, indices) = nn.functional.linear(centred, WEnc, BEnc).relu_().topk(_k, 1); // [B, k]
            }
            values.requires_grad_();
            var reconstruction = _bag.call(indices, null!, values) + BDec;
            var loss = (reconstruction - x).square().sum() / x.shape[0];
            loss.backward();
            var ofValues = values.grad! * (values > 0);                                          // [B, k]
            var ofDecoder = Taken(WDec, BDec);
            using (no_grad())
            {
                var flat = indices.reshape(-1);
                var contributions = (ofValues.unsqueeze(2) * centred.unsqueeze(1)).reshape(-1, centred.shape[1]); // [B k, d]
                var ofEncoder = zeros_like(WEnc).index_add_(0, flat, contributions, 1);
                var ofBias = zeros_like(BEnc).index_add_(0, flat, ofValues.reshape(-1), 1);
                return [ofEncoder, ofDecoder[0], ofBias, ofDecoder[1].sub_(ofBias.unsqueeze(0).mm(WEnc).squeeze(0))];
            }
        }
    }
}
