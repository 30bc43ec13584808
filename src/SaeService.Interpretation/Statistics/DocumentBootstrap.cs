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

    /// <summary>The sum of <paramref name="perDocument"/> [documents] over the documents of each sample: [samples].</summary>
    public double[] Sums(ReadOnlySpan<double> perDocument)
    {
        var sums = new double[Samples];
        AddUp(perDocument, perDocument, sums, new double[Samples]);
        return sums;
    }

    /// <summary>Two sums at once, because reading how often a document was drawn is most of the work: eight samples in registers while the documents go by.</summary>
    private void AddUp(ReadOnlySpan<double> first, ReadOnlySpan<double> second, Span<double> ofFirst, Span<double> ofSecond)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(first.Length, Documents);
        ArgumentOutOfRangeException.ThrowIfNotEqual(second.Length, Documents);
        var documents = new int[Documents];
        var count = 0;
        for (var document = 0; document < Documents; document++)
            if (first[document] != 0 || second[document] != 0)
                documents[count++] = document;
        var counted = documents.AsSpan(0, count);
        var sample = 0;
        for (; Avx2.IsSupported && sample + 8 <= Samples; sample += 8)
        {
            Vector256<double> low1 = Vector256<double>.Zero, high1 = low1, low2 = low1, high2 = low1;
            foreach (var document in counted)
            {
                var drawn = Vector128.CreateScalarUnsafe(BitConverter.ToUInt64(_multiplicity.AsSpan((document * Samples) + sample, 8))).AsByte();
                var times = Avx2.ConvertToVector256Int32(drawn);
                Vector256<double> low = Avx.ConvertToVector256Double(times.GetLower()), high = Avx.ConvertToVector256Double(times.GetUpper());
                Vector256<double> value1 = Vector256.Create(first[document]), value2 = Vector256.Create(second[document]);
                low1 += low * value1;
                high1 += high * value1;
                low2 += low * value2;
                high2 += high * value2;
            }
            low1.CopyTo(ofFirst[sample..]);
            high1.CopyTo(ofFirst[(sample + 4)..]);
            low2.CopyTo(ofSecond[sample..]);
            high2.CopyTo(ofSecond[(sample + 4)..]);
        }
        for (; sample < Samples; sample++)
            foreach (var document in counted)
            {
                ofFirst[sample] += _multiplicity[document * Samples + sample] * first[document];
                ofSecond[sample] += _multiplicity[document * Samples + sample] * second[document];
            }
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
        double[] ratios = new double[Samples], below = new double[Samples];
        AddUp(numerator, denominator, ratios, below);
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
