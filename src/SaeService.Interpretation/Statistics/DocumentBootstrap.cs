using System.Runtime.Intrinsics;

namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Resamples of documents with replacement (Efron's bootstrap): words of one document depend on each other, documents hardly do. The
/// multiplicities depend only on the three arguments, so statistics of different layers, features and tasks over the same documents are paired.
/// </summary>
public sealed class DocumentBootstrap
{
    private readonly byte[] _multiplicity; // [documents, samples]

    /// <param name="documents">How many documents are resampled: those of the part under test, renumbered from 0.</param>
    public DocumentBootstrap(int documents, int samples, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(documents, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(samples, 1);
        Documents = documents;
        Samples = samples;
        _multiplicity = new byte[checked((long)documents * samples)];
        for (var sample = 0; sample < samples; sample++)
        {
            var random = new CounterRandom(seed, sample);
            for (var draw = 0; draw < documents; draw++)
            {
                // Of fewer than 256 documents no byte can overflow; of more, none reaches 256 in the life of the universe.
                _multiplicity[(long)random.Next(documents) * samples + sample]++;
            }
        }
    }

    public int Documents { get; }
    public int Samples { get; }

    /// <summary>How often <paramref name="document"/> is drawn, by sample: [samples].</summary>
    public ReadOnlySpan<byte> Multiplicity(int document) => _multiplicity.AsSpan(checked(document * Samples), Samples);

    /// <summary>The sum of <paramref name="perDocument"/> [documents] over the documents of each sample: [samples].</summary>
    public double[] Sums(ReadOnlySpan<double> perDocument)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(perDocument.Length, Documents);
        var sums = new double[Samples];
        for (var document = 0; document < Documents; document++)
        {
            var value = perDocument[document];
            if (value != 0)
                AddScaled(sums, _multiplicity.AsSpan(document * Samples, Samples), value);
        }
        return sums;
    }

    /// <inheritdoc cref="Sums(ReadOnlySpan{double})"/>
    public double[] Sums(ReadOnlySpan<int> perDocument)
    {
        var values = new double[perDocument.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = perDocument[i];
        return Sums(values);
    }

    /// <summary>Σ numerator / Σ denominator of each sample; <paramref name="undefined"/> where the denominator is 0.</summary>
    public double[] Ratios(ReadOnlySpan<double> numerator, ReadOnlySpan<double> denominator, double undefined = 0)
    {
        var ratios = Sums(numerator);
        var below = Sums(denominator);
        for (var sample = 0; sample < ratios.Length; sample++)
            ratios[sample] = below[sample] == 0 ? undefined : ratios[sample] / below[sample];
        return ratios;
    }

    /// <summary>Any statistic of the multiplicities [documents] of a sample, by sample. Slower than sums and ratios of sums.</summary>
    public double[] Statistics(Func<ReadOnlySpan<int>, double> statistic)
    {
        var values = new double[Samples];
        var multiplicity = new int[Documents];
        for (var sample = 0; sample < Samples; sample++)
        {
            for (var document = 0; document < Documents; document++)
                multiplicity[document] = _multiplicity[document * Samples + sample];
            values[sample] = statistic(multiplicity);
        }
        return values;
    }

    /// <summary>The percentile 95 % interval of a statistic: [low, high].</summary>
    public double[] Interval(Func<ReadOnlySpan<int>, double> statistic) => Interval(Statistics(statistic));

    /// <summary>The 2.5 and 97.5 percentiles of a statistic's resampled values, interpolated linearly. The argument is left as it is.</summary>
    public static double[] Interval(ReadOnlySpan<double> samples)
    {
        var sorted = samples.ToArray();
        Array.Sort(sorted);
        return [Percentile(sorted, 0.025), Percentile(sorted, 0.975)];
    }

    private static double Percentile(double[] sorted, double share)
    {
        var at = share * (sorted.Length - 1);
        var below = (int)at;
        return below + 1 == sorted.Length ? sorted[below] : sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
    }

    private static void AddScaled(Span<double> sums, ReadOnlySpan<byte> multiplicity, double value)
    {
        var sample = 0;
        var scale = Vector256.Create(value);
        for (; sample + 16 <= sums.Length; sample += 16)
        {
            var (low, high) = Vector128.Widen(Vector128.Create(multiplicity.Slice(sample, 16)));
            Add(sums[sample..], low, scale);
            Add(sums[(sample + 8)..], high, scale);
        }
        for (; sample < sums.Length; sample++)
            sums[sample] += multiplicity[sample] * value;
    }

    private static void Add(Span<double> sums, Vector128<ushort> multiplicity, Vector256<double> scale)
    {
        var counts = Vector256.WidenLower(multiplicity.ToVector256Unsafe()).AsInt32();
        (Vector256.ConvertToDouble(Vector256.WidenLower(counts)) * scale + Vector256.Create<double>(sums)).CopyTo(sums);
        (Vector256.ConvertToDouble(Vector256.WidenUpper(counts)) * scale + Vector256.Create<double>(sums[4..])).CopyTo(sums[4..]);
    }
}
