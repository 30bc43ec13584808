using SaeService.Autoencoders.Torch;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Tests.Torch;

/// <summary>The step in libtorch's operators against autograd of the loss as it is defined, and against the CPU's kernels.</summary>
public sealed unsafe class TorchStepTests
{
    private const double Rate = 1e-3;

    /// <summary>d, latents, k, batch, floats of a temporary. Few latents for each kept: dense products; many: gathered ones.</summary>
    private static readonly (int D, int F, int K, int B, long Chunk)[] s_sizes = [(8, 24, 4, 40, 1 << 20), (17, 70, 5, 131, 700), (16, 640, 4, 48, 1000)];

    public static TheoryData<string, int, bool> Cases
    {
        get
        {
            var cases = new TheoryData<string, int, bool>();
            foreach (var architecture in Enum.GetNames<TrainingArchitecture>())
                for (var size = 0; size < s_sizes.Length; size++)
                {
                    cases.Add(architecture, size, false);
                    cases.Add(architecture, size, true);
                }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_parameter_has_the_gradient_of_autograd(string architecture, int size, bool withDead)
    {
        using var scope = NewDisposeScope();
        var run = new Run(architecture, s_sizes[size], withDead);
        using var step = run.Begin(CPU, project: false);
        using var oracle = run.Oracle();
        var measures = run.Compute(step, 0);
        oracle.Differentiate(run.Batch(0), run.Variance, run.Dead);

        var gradient = new SaeParameters(run.Settings.DIn, run.Settings.DSae);
        step.CopyGradientTo(gradient);
        foreach (var (name, rows, columns, values) in gradient.Tensors)
        {
            var expected = oracle.Gradients[name].reshape(rows, columns);
            Assert.True(expected.norm().item<float>() > 1e-4, $"{name}: nothing to compare");
            Assert.InRange(Difference(expected, values, rows, columns, gradient.Stride), 0, 1e-4);
        }
        Assert.Equal(oracle.SquaredError, measures.SquaredError, oracle.SquaredError * 1e-5);
        Assert.Equal(oracle.AuxLoss, measures.AuxLoss, Math.Max(1e-12, oracle.AuxLoss * 1e-4));
        Assert.Equal(oracle.SmallestKept, measures.SmallestKept, 1e-5);
        Assert.Equal(oracle.NonZeros, measures.NonZeros);
        Assert.Equal(oracle.Fired, step.Fired);
        Assert.Equal(withDead, measures.AuxLoss > 0);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Steps_end_where_autograd_and_adam_end(string architecture, int size, bool withDead)
    {
        var run = new Run(architecture, s_sizes[size], withDead);
        using var step = run.Begin(CPU);
        using var oracle = run.Oracle();
        var p = new SaeParameters(run.Settings.DIn, run.Settings.DSae);
        SaeParameters first = new(p.DIn, p.DSae), second = new(p.DIn, p.DSae);
        for (var t = 0; t < 20; t++)
        {
            var measures = run.Step(step, t);
            using var scope = NewDisposeScope();
            oracle.Step(run.Batch(t), run.Variance, run.Dead, Rate);
            Assert.Equal(oracle.Norm, measures.GradientNorm, oracle.Norm * (t == 0 ? 1e-4 : 1e-2));
            if (t is not (0 or 19))
                continue;
            step.CopyTo(p, first, second);
            foreach (var (name, rows, columns, values) in p.Tensors)
                Assert.InRange(Difference(oracle.Parameters[name].detach().reshape(rows, columns), values, rows, columns, p.Stride), 0, t == 0 ? 2e-5 : 5e-3);
        }
        Assert.True(run.Clipped, "no step was clipped");
    }

    [Theory]
    [InlineData(TrainingArchitecture.TopK, 8, 24, 4, false)]
    [InlineData(TrainingArchitecture.TopK, 32, 256, 8, false)]
    [InlineData(TrainingArchitecture.TopK, 17, 70, 5, true)]
    [InlineData(TrainingArchitecture.TopK, 32, 256, 8, true)]
    [InlineData(TrainingArchitecture.BatchTopK, 32, 256, 8, true)]
    [InlineData(TrainingArchitecture.MatryoshkaBatchTopK, 32, 256, 8, false)]
    [InlineData(TrainingArchitecture.MatryoshkaBatchTopK, 17, 70, 5, true)]
    public void Steps_end_where_the_kernels_of_the_CPU_end(TrainingArchitecture architecture, int d, int latents, int k, bool withDead)
    {
        var run = new Run(architecture.ToString(), (d, latents, k, 64, 1 << 20), withDead);
        using var step = run.Begin(CPU);
        var lanes = new Lanes(2);
        var p = run.Copy();
        var gradient = new SaeGradient(run.Settings, p, lanes);
        SaeParameters parameters = new(d, latents), first = new(d, latents), second = new(d, latents), m = new(d, latents), v = new(d, latents);
        var adam = new Adam(p, m, v, lanes);
        for (var t = 0; t < 20; t++)
        {
            var measures = run.Step(step, t);
            var centred = run.Centred(t, p);
            var expected = gradient.Compute(centred.Pointer, run.Settings.BatchTokens, run.Variance, run.Dead);
            adam.Step(gradient.Gradient, gradient.Touched, run.Factor(expected), Rate, t + 1);
            GC.KeepAlive(centred);
            if (t is not (0 or 19))
                continue;
            var tolerance = t == 0 ? 1e-5 : 5e-3;
            Assert.Equal(expected.SquaredError, measures.SquaredError, expected.SquaredError * tolerance);
            Assert.Equal(expected.AuxLoss, measures.AuxLoss, expected.AuxLoss * 10 * tolerance);
            Assert.Equal(expected.GradientNorm, measures.GradientNorm, expected.GradientNorm * 10 * tolerance);
            Assert.Equal(expected.SmallestKept, measures.SmallestKept, expected.SmallestKept * 10 * tolerance);
            if (t == 0)
            {
                Assert.Equal(expected.NonZeros, measures.NonZeros);
                Assert.Equal(Enumerable.Range(0, latents).Select(gradient.Fired), step.Fired);
            }
            step.CopyTo(parameters, first, second);
            foreach (var (ours, theirs) in new[] { (parameters, p), (first, m), (second, v) })
                foreach (var ((name, _, _, actual), (_, _, _, wanted)) in ours.Tensors.Zip(theirs.Tensors))
                {
                    using var scope = NewDisposeScope();
                    var error = Difference(tensor(wanted.Span.ToArray()).unsqueeze(0), actual, 1, wanted.Length, wanted.Length);
                    Assert.True(error < 2 * tolerance, $"{name} after step {t + 1}: {error}");
                }
        }
    }

    [Theory]
    [InlineData(nameof(TrainingArchitecture.TopK))]
    [InlineData(nameof(TrainingArchitecture.MatryoshkaBatchTopK))]
    public void State_that_went_to_the_host_and_back_goes_on_in_the_same_bits(string architecture)
    {
        var run = new Run(architecture, s_sizes[1], withDead: true);
        using var undisturbed = run.Begin(CPU);
        using var again = run.Begin(CPU);
        for (var t = 0; t < 3; t++)
            run.Step(undisturbed, t);
        SaeParameters p = new(run.Settings.DIn, run.Settings.DSae), first = new(p.DIn, p.DSae), second = new(p.DIn, p.DSae);
        undisturbed.CopyTo(p, first, second);
        for (var f = 0; f < p.DSae; f++)
            Assert.True(p.WEnc.Slice((long)f * p.Stride + p.DIn, p.Stride - p.DIn).IndexOfAnyExcept(0f) < 0, "the padding of a row was written");
        again.CopyFrom(p, first, second);
        for (var t = 3; t < 6; t++)
            Assert.Equal(run.Step(undisturbed, t), run.Step(again, t));
        Assert.Equal(Bits(run, undisturbed), Bits(run, again));
    }

    [Theory]
    [InlineData(nameof(TrainingArchitecture.TopK))]
    [InlineData(nameof(TrainingArchitecture.BatchTopK))]
    [InlineData(nameof(TrainingArchitecture.MatryoshkaBatchTopK))]
    public void The_same_steps_give_the_same_bits_and_leave_nothing_behind(string architecture)
    {
        var run = new Run(architecture, s_sizes[2], withDead: true);
        using var one = run.Begin(CPU);
        using var two = run.Begin(CPU);
        run.Step(one, 0);
        run.Step(two, 0);
        var live = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        for (var t = 1; t < 5; t++)
            Assert.Equal(run.Step(one, t), run.Step(two, t));
        Assert.Equal(live, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
        Assert.Equal(Bits(run, one), Bits(run, two));
    }

    [Theory]
    [InlineData(nameof(TrainingArchitecture.TopK))]
    [InlineData(nameof(TrainingArchitecture.BatchTopK))]
    [InlineData(nameof(TrainingArchitecture.MatryoshkaBatchTopK))]
    public void Where_no_latent_fires_only_the_bias_of_the_decoder_learns(string architecture)
    {
        using var scope = NewDisposeScope();
        var run = new Run(architecture, s_sizes[1], withDead: true);
        run.Silence();
        using var step = run.Begin(CPU);
        var measures = run.Compute(step, 0);
        Assert.Equal((0, 0, false), (measures.NonZeros, measures.SmallestKept, step.Fired.Any(f => f)));
        var gradient = new SaeParameters(run.Settings.DIn, run.Settings.DSae);
        step.CopyGradientTo(gradient);
        Assert.All([gradient.WEnc, gradient.WDec, gradient.BEnc], values => Assert.True(values.Span.IndexOfAnyExcept(0f) < 0));
        using var oracle = run.Oracle();
        oracle.Differentiate(run.Batch(0), run.Variance, []);
        Assert.InRange(Difference(oracle.Gradients["b_dec"].unsqueeze(0), gradient.BDec, 1, run.Settings.DIn, gradient.Stride), 0, 1e-5);
        Assert.Equal(oracle.SquaredError, measures.SquaredError, oracle.SquaredError * 1e-5);
    }

    [Fact]
    public void What_is_held_is_what_was_estimated()
    {
        foreach (var architecture in Enum.GetNames<TrainingArchitecture>())
        {
            var run = new Run(architecture, s_sizes[1], withDead: true);
            using var step = run.Begin(CPU);
            run.Step(step, 0);
            var held = DeviceMemory.Held(run.Settings, run.Chunk);
            Assert.Equal(held, step.HeldBytes);
            Assert.True(DeviceMemory.Training(run.Settings, run.Chunk) > held);
        }
    }

    [Fact]
    public void Parameters_of_another_shape_are_refused() =>
        Assert.Contains("8 to 23", Assert.Throws<ArgumentException>(() => new TorchStep(new(8, 24, 4), new(8, 23), CPU)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_sweep_on_a_device_ends_near_that_of_the_kernels_and_goes_on_from_its_checkpoints()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(500, 12);
        int[] rows = [.. Enumerable.Range(0, 500)];
        var first = new SaeTrainingSettings(12, 60, 3, Seed: 3, TrainTokens: 20 * 64, BatchTokens: 64) { ShuffleSeed = 3, DeadAfterTokens = 64 };
        SaeTrainingSettings[] settings = [first, first with { Architecture = TrainingArchitecture.MatryoshkaBatchTopK, Seed = 5 }];
        using var kernels = new SaeSweep(settings, activations, rows);
        while (kernels.Step()) { }
        using var device = TorchTraining.Start(settings, activations, rows, CPU);
        for (var t = 0; t < 9; t++)
            device.Step();
        device.SaveCheckpoint(scratch["part"]);
        while (device.Step()) { }
        device.SaveCheckpoint(scratch["whole"]);
        using var resumed = TorchTraining.Resume(scratch["part"], settings, activations, rows, CPU);
        Assert.Equal(9 * 64, resumed.TokensSeen);
        while (resumed.Step()) { }
        resumed.SaveCheckpoint(scratch["resumed"]);
        Assert.Equal(File.ReadAllBytes(scratch["whole"]), File.ReadAllBytes(scratch["resumed"]));
        // From the device's checkpoint the kernels go on too.
        using var moved = SaeSweep.Resume(scratch["part"], settings, activations, rows);
        while (moved.Step()) { }
        for (var i = 0; i < settings.Length; i++)
            foreach (var other in new[] { device, moved })
            {
                Assert.Equal(kernels.Trainers[i].Curve[^1].Fvu, other.Trainers[i].Curve[^1].Fvu, 0.02);
                Assert.Equal(kernels.Trainers[i].Curve[0].Fvu, other.Trainers[i].Curve[0].Fvu, 1e-4);
                using var scope = NewDisposeScope();
                var (expected, actual) = (kernels.Trainers[i].Autoencoder(), other.Trainers[i].Autoencoder());
                var wanted = tensor(expected.Parameters.WDec.Span.ToArray()).reshape(60, expected.Parameters.Stride)[.., ..12];
                Assert.InRange(Difference(wanted, actual.Parameters.WDec, 60, 12, actual.Parameters.Stride), 0, 0.05);
            }
    }

    [Fact]
    public void CUDA_takes_the_steps_of_the_CPU()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device, or a build without -p:TorchBackend=cuda");
        foreach (var architecture in Enum.GetNames<TrainingArchitecture>())
            foreach (var size in s_sizes)
                foreach (var withDead in new[] { false, true })
                    Compare(new Run(architecture, size, withDead));

        static void Compare(Run run)
        {
            using var expected = run.Begin(CPU);
            using var actual = run.Begin(CUDA);
            SaeParameters p = new(run.Settings.DIn, run.Settings.DSae), q = new(p.DIn, p.DSae), first = new(p.DIn, p.DSae), second = new(p.DIn, p.DSae);
            for (var t = 0; t < 20; t++)
            {
                var (a, b) = (run.Step(expected, t), run.Step(actual, t));
                if (t is not (0 or 19))
                    continue;
                var tolerance = t == 0 ? 1e-4 : 5e-3;
                Assert.Equal(a.SquaredError, b.SquaredError, a.SquaredError * tolerance);
                Assert.Equal(a.AuxLoss, b.AuxLoss, a.AuxLoss * 10 * tolerance);
                Assert.Equal(a.GradientNorm, b.GradientNorm, a.GradientNorm * 10 * tolerance);
                if (t == 0)
                    Assert.Equal(expected.Fired, actual.Fired);
                expected.CopyTo(p, first, second);
                actual.CopyTo(q, first, second);
                foreach (var ((name, _, _, wanted), (_, _, _, got)) in p.Tensors.Zip(q.Tensors))
                {
                    using var scope = NewDisposeScope();
                    var error = Difference(tensor(wanted.Span.ToArray()).unsqueeze(0), got, 1, wanted.Length, wanted.Length);
                    Assert.True(error < tolerance, $"{run.Settings.Architecture}, {run.Settings.DSae} latents, {run.Dead.Length} dead: {name} after step {t + 1}: {error}");
                }
            }
        }
    }

    private static float[] Bits(Run run, TorchStep step)
    {
        SaeParameters p = new(run.Settings.DIn, run.Settings.DSae), first = new(p.DIn, p.DSae), second = new(p.DIn, p.DSae);
        step.CopyTo(p, first, second);
        return [.. new[] { p, first, second }.SelectMany(group => group.Tensors).SelectMany(t => t.Values.Span.ToArray())];
    }

    private static double Difference(Tensor expected, AlignedBuffer<float> actual, int rows, int columns, int stride)
    {
        var values = tensor(actual.Slice(0, rows == 1 ? columns : rows * stride).ToArray()).reshape(rows, rows == 1 ? columns : stride)[.., ..columns];
        return ((values - expected).norm() / expected.norm().clamp_min(1e-20)).item<float>();
    }

    /// <summary>Batches of noise, parameters that are not at their start, and which latents are said to be dead.</summary>
    private sealed class Run
    {
        private const int Batches = 3;
        private readonly SaeParameters _initial;
        private readonly float[] _x;                      // [batches, B, d]

        public Run(string architecture, (int D, int F, int K, int B, long Chunk) size, bool withDead)
        {
            var kind = Enum.Parse<TrainingArchitecture>(architecture);
            Chunk = size.Chunk;
            Settings = new SaeTrainingSettings(size.D, size.F, size.K, BatchTokens: size.B)
            {
                ClipNorm = 0.05,
                Architecture = kind,
                MatryoshkaWidths = kind == TrainingArchitecture.MatryoshkaBatchTopK ? [size.F / 8, size.F / 3, size.F] : null,
                AuxBatchTokens = size.B * 2 / 3,   // in blocks of 64: of the greatest batch a part, of the others all
            };
            Dead = withDead ? [.. Enumerable.Range(0, size.F).Where(f => f % 3 == 1)] : [];
            _initial = new(size.D, size.F);
            _initial.Initialise(5, new Lanes(1));
            var random = new Random(7);
            for (var f = 0; f < size.F; f++)
            {
                _initial.BEnc.Span[f] = 0.1f * (float)Scratch.Normal(random);
                foreach (ref var w in _initial.WEnc.Slice((long)f * _initial.Stride, size.D))
                    w += 0.1f * (float)Scratch.Normal(random);
            }
            for (var j = 0; j < size.D; j++)
                _initial.BDec.Span[j] = 0.1f * (float)Scratch.Normal(random);
            // Tokens of different norms: a batch's top-k then gives them different numbers of latents.
            var scale = 1.0;
            _x = new float[Batches * size.B * size.D];
            for (var i = 0; i < _x.Length; i++)
            {
                scale = i % size.D == 0 ? 0.3 + 2 * random.NextDouble() : scale;
                _x[i] = (float)(scale * Scratch.Normal(random));
            }
        }

        public SaeTrainingSettings Settings { get; }
        public int[] Dead { get; }
        public long Chunk { get; }
        public double Variance => Settings.DIn * 1.9;
        public bool Clipped { get; private set; }

        public TorchStep Begin(Device device, bool project = true) =>
            new(Settings, _initial, device, Chunk) { ProjectDecoder = project };

        public void Silence() => _initial.BEnc.Span.Fill(-1000);

        public DenseOracle Oracle() => new(Settings, _initial);

        public SaeParameters Copy()
        {
            var copy = new SaeParameters(Settings.DIn, Settings.DSae);
            foreach (var ((_, _, _, from), (_, _, _, to)) in _initial.Tensors.Zip(copy.Tensors))
                from.Span.CopyTo(to.Span);
            return copy;
        }

        private ReadOnlySpan<float> Values(int t) => _x.AsSpan(t % Batches * Settings.BatchTokens * Settings.DIn, Settings.BatchTokens * Settings.DIn);

        public Tensor Batch(int t) => tensor(Values(t).ToArray()).reshape(Settings.BatchTokens, Settings.DIn);

        /// <summary>[B, stride], less b_dec: what the kernels of the CPU take.</summary>
        public AlignedBuffer<float> Centred(int t, SaeParameters p)
        {
            var centred = new AlignedBuffer<float>((long)Settings.BatchTokens * p.Stride);
            for (var i = 0; i < Settings.BatchTokens; i++)
                for (var j = 0; j < p.DIn; j++)
                    centred.Span[i * p.Stride + j] = Values(t)[i * p.DIn + j] - p.BDec.Span[j];
            return centred;
        }

        public BatchMeasures Compute(TorchStep step, int t)
        {
            var padded = new float[Settings.BatchTokens * _initial.Stride];
            for (var i = 0; i < Settings.BatchTokens; i++)
                Values(t).Slice(i * Settings.DIn, Settings.DIn).CopyTo(padded.AsSpan(i * _initial.Stride));
            return step.Compute(padded, _initial.Stride, Settings.BatchTokens, Variance, Dead);
        }

        public double Factor(BatchMeasures m) => m.GradientNorm > Settings.ClipNorm ? Settings.ClipNorm / (m.GradientNorm + 1e-6) : 1;

        public BatchMeasures Step(TorchStep step, int t)
        {
            var measures = Compute(step, t);
            Clipped |= Factor(measures) < 1;
            step.Step(Factor(measures), Rate, t + 1);
            return measures;
        }
    }
}
