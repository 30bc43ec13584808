using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>Which single dimensions of a layer's vectors go with a task's labels (method 1d, 3), on the probes' train words.</summary>
public static class DimensionRanking
{
    public const string Estimator = "ross-2014/nearest-neighbours";
    private const int Neighbours = 3;
    private const int Listed = 20;

    /// <summary>Columns that are brought together at a time: a whole line of the cache from each row.</summary>
    private const int ColumnBlock = 16;
    private const int RowBlock = 2048;
    private const long TieStream = 0x746965;

    /// <param name="dimension">Of the vectors that <paramref name="gather"/> writes.</param>
    public static DimensionInformation Measure(TaskLabels task, ProbeWords chosen, int dimension, GatherVectors gather, InformationRules rules,
        CancellationToken cancel = default)
    {
        var words = chosen.Train;
        var x = new float[checked(words.Length * dimension)]; // [words, dimension]
        for (var from = 0; from < words.Length; from += RowBlock)
        {
            cancel.ThrowIfCancellationRequested();
            var rows = Math.Min(RowBlock, words.Length - from);
            gather(words.AsSpan(from, rows), x.AsSpan(from * dimension, rows * dimension));
        }
        var labels = Array.ConvertAll(words, word => task.Of[word]);
        var information = new NearestNeighbourInformation(labels, Neighbours);
        var shuffled = new NearestNeighbourInformation(ControlLabels.Shuffled(labels, rules.Seed, 2), Neighbours);
        double[] bits = new double[dimension], shuffledBits = new double[dimension];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = rules.Threads, CancellationToken = cancel };
        Parallel.For(0, (dimension + ColumnBlock - 1) / ColumnBlock, parallel,
            () => (Columns: new double[ColumnBlock * words.Length], Scratch: information.NewScratch()), (block, _, local) =>
            {
                var first = block * ColumnBlock;
                var width = Math.Min(ColumnBlock, dimension - first);
                for (var row = 0; row < words.Length; row++)
                    for (var j = 0; j < width; j++)
                        local.Columns[j * words.Length + row] = x[row * dimension + first + j];
                for (var j = 0; j < width; j++)
                {
                    var column = local.Columns.AsSpan(j * words.Length, words.Length);
                    Prepare(column, first + j, rules.Seed);
                    bits[first + j] = information.Nats(column, local.Scratch) / Math.Log(2);
                    shuffledBits[first + j] = shuffled.Nats(column, local.Scratch) / Math.Log(2);
                }
                return local;
            }, _ => { });
        return new(Estimator, Neighbours, words.Length, shuffledBits.Max(),
            [.. Enumerable.Range(0, dimension).OrderByDescending(j => bits[j]).ThenBy(j => j).Take(Listed).Select(j => new DimensionBits(j, bits[j]))]);
    }

    /// <summary>As scikit-learn does: unit deviation, uncentred, and noise of 1e-10 of the mean magnitude (at least 1), which decides ties and nothing else.</summary>
    private static void Prepare(Span<double> x, int dimension, long seed)
    {
        double sum = 0, squares = 0, magnitude = 0;
        foreach (var value in x)
        {
            if (!double.IsFinite(value))
                throw new InvalidDataException($"dimension {dimension} of the vectors holds a number that is not finite");
            sum += value;
        }
        var mean = sum / x.Length;
        foreach (var value in x)
            squares += (value - mean) * (value - mean);
        var deviation = Math.Sqrt(squares / x.Length);
        foreach (ref var value in x)
        {
            value /= deviation == 0 ? 1 : deviation;
            magnitude += Math.Abs(value);
        }
        var noise = 1e-10 * Math.Max(1, magnitude / x.Length);
        var random = new CounterRandom(seed ^ TieStream, dimension);
        foreach (ref var value in x)
            value += noise * random.NextNormal();
    }
}
