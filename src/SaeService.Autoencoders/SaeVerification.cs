using SaeService.Autoencoders.Formats;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders;

/// <summary>How far what an autoencoder gives is from what a reference gave.</summary>
/// <param name="Error">Greatest absolute error over greatest absolute expected value. NaN where it was not compared.</param>
/// <param name="NotCompared">Why it was not compared; null where it was.</param>
public sealed record SaeTensorError(string Tensor, double Error, string? NotCompared = null)
{
    /// <summary>Written so that NaN is no pass.</summary>
    public bool Passes(double tolerance) => Error <= tolerance;
}

/// <summary>
/// What an autoencoder of any format does on given activations, and whether that is what its project gives: <c>expected.safetensors</c> beside it holds
/// <c>x</c> [n, d] and, of a reference's pass over it, <c>codes</c> [n, F], <c>reconstruction</c> [n, d] or both.
/// </summary>
/// <param name="Quality">On the activations given, else on the <c>x</c> of the expected values.</param>
/// <param name="Tensors">Empty where nothing is expected.</param>
public sealed record SaeVerification(SaeDescription Autoencoder, SaeQuality Quality, IReadOnlyList<SaeTensorError> Tensors)
{
    private const string Input = "x", Codes = "codes", Reconstruction = "reconstruction";
    private const int BlockRows = 1024;

    /// <param name="folder">Of the autoencoder.</param>
    /// <param name="activations">
    /// A safetensors file with a matrix [n, d], called <c>x</c> or <c>activations</c> where there are several; any other file is float32, row by row, as jobs
    /// keep them. Null: those of the expected values.
    /// </param>
    /// <exception cref="CheckpointException">The autoencoder, the activations or the expected values can not be used.</exception>
    public static SaeVerification Run(string folder, string? activations = null, int? threads = null)
    {
        var about = SaeFolder.Describe(folder);
        var expected = Path.Combine(folder, SaeFolder.ExpectedFile);
        var compares = File.Exists(expected);
        if (activations is null && !compares)
            throw new CheckpointException(CheckpointFault.NotFound, expected, null,
                "no such file, and no activations were named: there is nothing to run the autoencoder on");
        var sae = SaeFolder.Load(folder, threads);
        try
        {
            return new(about, Measure(sae, activations ?? expected), compares ? Compare(sae, expected) : []);
        }
        catch (ArgumentException e)
        {
            // What an autoencoder says of its input: a row that is not finite, or none.
            throw new CheckpointException(CheckpointFault.Invalid, activations ?? expected, null, e.Message, e);
        }
    }

    private static SaeQuality Measure(SparseAutoencoder sae, string file)
    {
        if (!file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
            return Measure(sae, ActivationFileOf(sae, file));
        // One measuring pass for all: a matrix is laid out as a file of activations first.
        var rows = Path.Combine(Path.GetTempPath(), $"sae-{Guid.NewGuid():N}.f32");
        try
        {
            using (var tensors = new WeightFile(file))
            {
                var name = InputOf(tensors);
                var count = RowsOf(tensors, name, sae.DIn);
                using var writer = new ActivationWriter(rows, count, sae.DIn);
                var block = new float[Math.Min(BlockRows, count) * sae.DIn];
                for (long first = 0; first < count; first += BlockRows)
                {
                    var values = block.AsSpan(0, (int)Math.Min(BlockRows, count - first) * sae.DIn);
                    tensors.Convert(name, first * sae.DIn, values);
                    Finite(tensors.Path, name, values, first, sae.DIn);
                    writer.Write(first, values);
                }
                writer.Complete();
            }
            return Measure(sae, ActivationFile.Open(rows, sae.DIn));
        }
        finally
        {
            File.Delete(rows);
        }
    }

    private static SaeQuality Measure(SparseAutoencoder sae, ActivationFile activations)
    {
        using (activations)
            return Autoencoders.Quality.Evaluate(sae, activations, [.. Enumerable.Range(0, (int)activations.Rows)]);
    }

    private static ActivationFile ActivationFileOf(SparseAutoencoder sae, string file)
    {
        try
        {
            var opened = ActivationFile.Open(file, sae.DIn);
            if (opened.Rows <= int.MaxValue)
                return opened;
            opened.Dispose();
            throw new CheckpointException(CheckpointFault.Invalid, file, null, $"{opened.Rows} rows are more than are looked at");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            var fault = e is FileNotFoundException or DirectoryNotFoundException ? CheckpointFault.NotFound : CheckpointFault.Invalid;
            throw new CheckpointException(fault, file, null, e.Message, e);
        }
    }

    private static string InputOf(WeightFile tensors)
    {
        foreach (var name in new[] { Input, "activations" })
            if (tensors.Has(name))
                return name;
        return tensors.Names.ToArray() is [var only] ? only : throw new CheckpointException(CheckpointFault.Invalid, tensors.Path, null,
            $"has no tensor '{Input}' or 'activations', but {(tensors.Names.Any() ? string.Join(", ", tensors.Names.Take(10)) : "none")}");
    }

    private static int RowsOf(WeightFile tensors, string name, int columns)
    {
        var rows = tensors.MatrixShape(name).Rows;
        tensors.Expect(name, rows, columns);
        return rows is >= 1 and <= int.MaxValue ? (int)rows : throw new CheckpointException(CheckpointFault.Invalid, tensors.Path, name, $"has {rows} rows");
    }

    private static void Finite(string file, string name, ReadOnlySpan<float> values, long firstRow, int columns)
    {
        for (var i = 0; i < values.Length; i++)
            if (!float.IsFinite(values[i]))
                throw new CheckpointException(CheckpointFault.Invalid, file, name,
                    $"holds {values[i]} at row {firstRow + i / columns}, component {i % columns}");
    }

    private static List<SaeTensorError> Compare(SparseAutoencoder sae, string file)
    {
        using var expected = new WeightFile(file);
        var n = RowsOf(expected, Input, sae.DIn);
        var widths = new Dictionary<string, int> { [Codes] = sae.DSae, [Reconstruction] = sae.DIn }.Where(w => expected.Has(w.Key)).ToDictionary();
        if (widths.Count == 0)
            throw new CheckpointException(CheckpointFault.Invalid, file, null, $"has neither '{Codes}' nor '{Reconstruction}': there is nothing to compare");
        foreach (var (name, width) in widths)
            expected.Expect(name, n, width);
        var worst = widths.ToDictionary(w => w.Key, _ => (Error: 0.0, Scale: 0.0));
        var x = new float[Math.Min(BlockRows, n) * sae.DIn];
        var reconstruction = new float[x.Length];
        var golden = new float[Math.Max(sae.DSae, sae.DIn)];
        var dense = new float[sae.DSae];
        for (var first = 0; first < n; first += BlockRows)
        {
            var rows = Math.Min(BlockRows, n - first);
            var block = x.AsSpan(0, rows * sae.DIn);
            expected.Convert(Input, (long)first * sae.DIn, block);
            var codes = sae.Encode(block, rows);
            sae.Decode(codes, reconstruction.AsSpan(0, rows * sae.DIn));
            foreach (var (name, width) in widths)
                for (var i = 0; i < rows; i++)
                {
                    ReadOnlySpan<float> got = reconstruction.AsSpan(i * sae.DIn, sae.DIn);
                    if (name == Codes)
                    {
                        dense.AsSpan().Clear();
                        for (var a = 0; a < codes.RowIndex(i).Length; a++)
                            dense[codes.RowIndex(i)[a]] = codes.RowValue(i)[a];
                        got = dense;
                    }
                    expected.Convert(name, (long)(first + i) * width, golden.AsSpan(0, width));
                    Finite(file, name, golden.AsSpan(0, width), first + i, width);
                    worst[name] = Worse(worst[name], got, golden);
                }
        }
        var unknown = expected.Names.Where(name => name != Input && !widths.ContainsKey(name));
        return [.. worst.Select(w => new SaeTensorError(w.Key, w.Value.Error == 0 ? 0 : w.Value.Error / w.Value.Scale)),
            .. unknown.Select(name => new SaeTensorError(name, double.NaN, "nothing that an autoencoder gives is known by this name"))];
    }

    private static (double Error, double Scale) Worse((double Error, double Scale) worst, ReadOnlySpan<float> got, ReadOnlySpan<float> expected)
    {
        for (var j = 0; j < got.Length; j++)
        {
            worst.Error = Math.Max(worst.Error, Math.Abs((double)got[j] - expected[j]));   // NaN stays NaN
            worst.Scale = Math.Max(worst.Scale, Math.Abs((double)expected[j]));
        }
        return worst;
    }
}
