using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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
        var documents = new int[Documents];
        var count = 0;
        for (var document = 0; document < Documents; document++)
            if (perDocument[document] != 0)
                documents[count++] = document;
        // Sixteen samples in registers while the documents go by.
        var sample = 0;
        for (; sample + 16 <= Samples; sample += 16)
        {
            Vector256<double> s0 = Vector256<double>.Zero, s1 = s0, s2 = s0, s3 = s0;
            foreach (var document in documents.AsSpan(0, count))
            {
                var scale = Vector256.Create(perDocument[document]);
                var (low, high) = Vector128.Widen(Vector128.LoadUnsafe(ref _multiplicity[0], (nuint)((document * Samples) + sample)));
                var (n0, n1) = Vector128.Widen(low);
                var (n2, n3) = Vector128.Widen(high);
                s0 += ToDouble(n0) * scale;
                s1 += ToDouble(n1) * scale;
                s2 += ToDouble(n2) * scale;
                s3 += ToDouble(n3) * scale;
            }
            s0.CopyTo(sums, sample);
            s1.CopyTo(sums, sample + 4);
            s2.CopyTo(sums, sample + 8);
            s3.CopyTo(sums, sample + 12);
        }
        for (; sample < Samples; sample++)
            foreach (var document in documents.AsSpan(0, count))
                sums[sample] += _multiplicity[document * Samples + sample] * perDocument[document];
        return sums;
    }

    private static Vector256<double> ToDouble(Vector128<uint> counts) =>
        Avx.IsSupported ? Avx.ConvertToVector256Double(counts.AsInt32()) : Vector256.Create((double)counts[0], counts[1], counts[2], counts[3]);

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
        var values = samples.ToArray();
        return [Percentile(values, 0.025), Percentile(values, 0.975)];
    }

    /// <param name="values">Are put into another order.</param>
    private static double Percentile(Span<double> values, double share)
    {
        var at = share * (values.Length - 1);
        var below = (int)at;
        OrderStatistics.Place(values, below);
        if (below + 1 == values.Length)
            return values[below];
        // What follows in order is the least of what now lies behind it.
        var next = TensorPrimitives.Min<double>(values[(below + 1)..]);
        return values[below] + ((at - below) * (next - values[below]));
    }
}
