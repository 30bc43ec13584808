namespace SaeService.Autoencoders.Tests;

/// <summary>A folder that goes away with the test, and small activations with a known structure.</summary>
internal sealed class Scratch : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("sae-").FullName;
    public string this[string name] => Path.Combine(Folder, name);
    public void Dispose() => Directory.Delete(Folder, recursive: true);

    public ActivationFile Activations(int rows, int d, Func<int, int, float> value, string name = "activations.f32")
    {
        using (var writer = new ActivationWriter(this[name], rows, d))
        {
            var row = new float[d];
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < d; j++)
                    row[j] = value(i, j);
                writer.Write(i, row);
            }
            writer.Complete();
        }
        return ActivationFile.Open(this[name], d);
    }

    /// <summary>Gaussian noise around a mean that is far from 0.</summary>
    public ActivationFile Noise(int rows, int d, int seed = 1)
    {
        var random = new Random(seed);
        return Activations(rows, d, (_, j) => 3 + j % 5 + (float)Normal(random));
    }

    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Sparse sums of <paramref name="directions"/> [G, d]: each row has about <paramref name="active"/> of them with strength 0.5 to 1.5.</summary>
    public ActivationFile Planted(int rows, float[][] directions, double active, int seed)
    {
        var random = new Random(seed);
        var d = directions[0].Length;
        var x = new float[d];
        return Activations(rows, d, (_, j) =>
        {
            if (j == 0)
            {
                x.AsSpan().Fill(0.2f);
                foreach (var direction in directions)
                    if (random.NextDouble() < active / directions.Length)
                    {
                        var strength = (float)(0.5 + random.NextDouble());
                        for (var c = 0; c < d; c++)
                            x[c] += strength * direction[c];
                    }
            }
            return x[j];
        });
    }

    public static float[][] UnitDirections(int count, int d, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var row = Enumerable.Range(0, d).Select(_ => Normal(random)).ToArray();
            var norm = Math.Sqrt(row.Sum(v => v * v));
            return row.Select(v => (float)(v / norm)).ToArray();
        })];
    }

    /// <summary>Mean over true directions of the largest cosine to a decoder row.</summary>
    public static double MeanMaxCosine(float[][] truth, Func<int, float[]> row, int rows) => truth.Average(t =>
        Enumerable.Range(0, rows).Max(f => row(f).Zip(t, (a, b) => (double)a * b).Sum()));
}
