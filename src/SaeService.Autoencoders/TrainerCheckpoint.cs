using System.Globalization;
using System.Runtime.InteropServices;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders;

/// <summary>Everything that changes while a trainer runs.</summary>
internal sealed class TrainerState(int dIn, int dSae)
{
    public SaeParameters Parameters { get; } = new(dIn, dSae);
    public SaeParameters First { get; } = new(dIn, dSae);            // moments of Adam
    public SaeParameters Second { get; } = new(dIn, dSae);
    public long[] SinceFired { get; } = new long[dSae];              // tokens since a positive value
    public List<CurvePoint> Curve { get; } = [];
    public long Step { get; set; }
    public long Batches { get; private set; }
    public double SquaredError { get; private set; }
    public double AuxLoss { get; private set; }
    public double NonZeros { get; private set; }
    private double smallest, smallestWeight;

    /// <summary>Moving average of the least value kept on a token, in scaled units: what a JumpReLU of the same sparsity would cut at.</summary>
    public double Threshold => smallestWeight > 0 ? smallest / smallestWeight : 0;

    public void Accumulate(BatchMeasures m, double decay)
    {
        Batches++;
        SquaredError += m.SquaredError;
        AuxLoss += m.AuxLoss;
        NonZeros += m.NonZeros;
        smallest = decay * smallest + (1 - decay) * m.SmallestKept;
        smallestWeight = decay * smallestWeight + (1 - decay);
    }

    public void ClearAccumulators() => (Batches, SquaredError, AuxLoss, NonZeros) = (0, 0, 0, 0);

    public double[] Scalars
    {
        get => [SquaredError, AuxLoss, NonZeros, smallest, smallestWeight];
        set => (SquaredError, AuxLoss, NonZeros, smallest, smallestWeight) = (value[0], value[1], value[2], value[3], value[4]);
    }

    public long[] Counters
    {
        get => [Step, Batches];
        set => (Step, Batches) = (value[0], value[1]);
    }
}

/// <summary>What a run is a function of. Centre, scale and variance stand for the activations: they are computed from them.</summary>
internal sealed record RunIdentity(string Settings, string Rows, float[] Mean, float Scale, double Variance);

/// <summary>
/// The state of the trainers of a pass as one safetensors file; those of the second are named "1.", and so on. Doubles and counters are tensors, not text, so that nothing is rounded.
/// </summary>
internal static class TrainerCheckpoint
{
    private const string Format = "saeservice.sae-trainer.2";
    private const int CurveColumns = 6;

    public static void Save(string path, IReadOnlyList<TrainerState> states, RunIdentity run)
    {
        List<TensorSource> tensors = [TensorSource.Of<float>("mean", DType.F32, [run.Mean.Length], run.Mean)];
        for (var i = 0; i < states.Count; i++)
        {
            var (state, of) = (states[i], Prefix(i));
            tensors.Add(TensorSource.Of<long>(of + "since_fired", DType.I64, [state.SinceFired.Length], state.SinceFired));
            tensors.Add(TensorSource.Of<long>(of + "counters", DType.I64, [state.Counters.Length], state.Counters));
            tensors.Add(TensorSource.Of<double>(of + "scalars", DType.F64, [state.Scalars.Length], state.Scalars));
            tensors.Add(TensorSource.Of<double>(of + "curve", DType.F64, [state.Curve.Count, CurveColumns], state.Curve.SelectMany(Numbers).ToArray()));
            foreach (var (prefix, group) in Groups(state))
                foreach (var (name, rows, columns, values) in group.Tensors)
                    tensors.Add(new(of + prefix + name, DType.F32, [rows, columns], stream =>
                    {
                        for (var r = 0; r < rows; r++)
                            stream.Write(MemoryMarshal.AsBytes(values.Slice((long)r * group.Stride, columns)));
                    }));
        }
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>
        {
            ["format"] = Format,
            ["settings"] = run.Settings,
            ["rows"] = run.Rows,
            ["scale"] = run.Scale.ToString("R", CultureInfo.InvariantCulture),
            ["variance"] = run.Variance.ToString("R", CultureInfo.InvariantCulture),
        });
    }

    public static void Load(string path, IReadOnlyList<TrainerState> states, RunIdentity run)
    {
        using var file = SafetensorsFile.Open(path);
        string Text(string key) => file.Metadata.GetValueOrDefault(key, "");
        if (Text("format") != Format)
            throw new InvalidDataException($"{path} is no checkpoint of this trainer: its format is '{Text("format")}', not '{Format}'");
        if (Text("settings") != run.Settings)
            throw new InvalidDataException($"{path} is a checkpoint of other settings ({Text("settings")}, not {run.Settings})");
        if (Text("rows") != run.Rows)
            throw new InvalidDataException($"{path} is a checkpoint over other training rows");
        var mean = new float[run.Mean.Length];
        Read(file, "mean", mean, [mean.Length]);
        if (!mean.AsSpan().SequenceEqual(run.Mean) || Text("scale") != run.Scale.ToString("R", CultureInfo.InvariantCulture)
            || Text("variance") != run.Variance.ToString("R", CultureInfo.InvariantCulture))
            throw new InvalidDataException($"{path} is a checkpoint over other activations: their centre or scale differs");

        for (var i = 0; i < states.Count; i++)
            Load(file, states[i], Prefix(i));
    }

    private static string Prefix(int trainer) => trainer == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{trainer}.");

    private static void Load(SafetensorsFile file, TrainerState state, string of)
    {
        foreach (var (prefix, group) in Groups(state))
            foreach (var (name, rows, columns, values) in group.Tensors)
            {
                var bytes = Bytes(file, of + prefix + name, DType.F32, [rows, columns]);
                for (var r = 0; r < rows; r++)
                    bytes.Slice(r * columns * sizeof(float), columns * sizeof(float))
                        .CopyTo(MemoryMarshal.AsBytes(values.Slice((long)r * group.Stride, columns)));
            }
        Read(file, of + "since_fired", state.SinceFired, [state.SinceFired.Length]);
        var (counters, scalars) = (state.Counters, state.Scalars);
        Read(file, of + "counters", counters, [counters.Length]);
        Read(file, of + "scalars", scalars, [scalars.Length]);
        (state.Counters, state.Scalars) = (counters, scalars);
        if (state.Step < 0 || state.Batches < 0 || state.Batches > state.Step)
            throw new InvalidDataException($"{file.Path}: counters say step {state.Step} with {state.Batches} batches since the last point of the curve");
        var points = file.Tensors.TryGetValue(of + "curve", out var entry) && entry.Shape.Length == 2 ? entry.Shape[0] : 0;
        var curve = Bytes(file, of + "curve", DType.F64, [points, CurveColumns]);
        state.Curve.Clear();
        for (var i = 0; i < points; i++)
        {
            var n = new double[CurveColumns];
            curve.Slice(i * CurveColumns * sizeof(double), CurveColumns * sizeof(double)).CopyTo(MemoryMarshal.AsBytes(n.AsSpan()));
            state.Curve.Add(new((long)n[0], n[1], n[2], n[3], n[4], n[5]));
        }
    }

    private static double[] Numbers(CurvePoint c) => [c.Tokens, c.Fvu, c.AuxLoss, c.L0, c.DeadShare, c.LearningRate];

    private static IEnumerable<(string Prefix, SaeParameters Group)> Groups(TrainerState s) =>
        [("", s.Parameters), ("adam.first.", s.First), ("adam.second.", s.Second)];

    private static void Read<T>(SafetensorsFile file, string name, T[] target, long[] shape) where T : unmanaged =>
        Bytes(file, name, typeof(T) == typeof(long) ? DType.I64 : typeof(T) == typeof(double) ? DType.F64 : DType.F32, shape)
            .CopyTo(MemoryMarshal.AsBytes(target.AsSpan()));

    private static ReadOnlySpan<byte> Bytes(SafetensorsFile file, string name, DType dtype, long[] shape)
    {
        if (!file.Tensors.TryGetValue(name, out var entry))
            throw new InvalidDataException($"{file.Path} has no tensor '{name}'");
        if (entry.DType != dtype || !entry.Shape.AsSpan().SequenceEqual(shape))
            throw new InvalidDataException($"{file.Path}: tensor '{name}' is {entry.DType} {entry.ShapeText}, expected {dtype} {TensorEntry.TextOf(shape)}");
        return file.Bytes(name);
    }
}
