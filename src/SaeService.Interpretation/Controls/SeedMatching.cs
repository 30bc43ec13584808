using System.Numerics;
using SaeService.Contracts;

namespace SaeService.Interpretation.Controls;

/// <summary>An autoencoder as far as the comparison of seeds needs it.</summary>
/// <param name="Decoder">[F, d] row-major: where each latent points. A row of zeros is no latent.</param>
/// <param name="Labels">By task the label of each latent, null where it has none: [F].</param>
public sealed record SeededDictionary(int Seed, ReadOnlyMemory<float> Decoder, int Dimension, IReadOnlyDictionary<string, IReadOnlyList<string?>> Labels)
{
    public int Features => Decoder.Length / Dimension;
}

/// <summary>How much of one autoencoder another of the same layer finds again (method 1b, iii).</summary>
public static class SeedMatching
{
    /// <summary>Least cosine of a match (Paulo and Belrose 2025).</summary>
    public const float LeastCosine = 0.7f;

    /// <summary>Partners kept of each latent: of a direction learnt many times over only so many can be matched, and memory is F times this.</summary>
    private const int MostCandidates = 16;
    private const long BlockBytes = 64L << 20;

    /// <summary>
    /// Matches greedily, the largest cosine first. All Fa x Fb cosines are taken, in blocks of 64 MB; none below <see cref="LeastCosine"/> is kept. The Hungarian method finds
    /// the best total over all pairs and takes time in F³: of vectors in hundreds of dimensions those that come as near as this have hardly another to choose.
    /// </summary>
    /// <param name="threads">That may be used; nothing found depends on them.</param>
    /// <exception cref="ArgumentException">Dimensions differ, or labels are of another number than the latents.</exception>
    public static SeedStability Compare(SeededDictionary first, SeededDictionary second, int threads = -1)
    {
        if (first.Dimension != second.Dimension)
            throw new ArgumentException($"decoders of {first.Dimension} and {second.Dimension} dimensions");
        foreach (var dictionary in new[] { first, second })
            foreach (var (task, labels) in dictionary.Labels)
                if (labels.Count != dictionary.Features || dictionary.Decoder.Length % dictionary.Dimension != 0)
                    throw new ArgumentException($"task {task} has {labels.Count} labels of {dictionary.Features} latents");

        var (parallel, d) = (new ParallelOptions { MaxDegreeOfParallelism = threads }, first.Dimension);
        var (a, there) = Unit(first, parallel);       // [Fa, d]
        var (b, otherThere) = Unit(second, parallel); // [Fb, d]
        var transposed = PanelMatrix.Transposed(b, second.Features, d);
        var cosines = Array.Empty<float>();
        var largest = new float[first.Features];
        var candidates = new List<(float Cosine, int First, int Second)>();
        var block = (int)Math.Clamp(BlockBytes / (4L * Math.Max(1, second.Features)), 1, 4096);
        for (var from = 0; from < first.Features; from += block)
        {
            var rows = Math.Min(block, first.Features - from);
            transposed.Multiply(PanelMatrix.Left(a.AsSpan(from * d), rows, d), rows, ref cosines, parallel); // [rows, Fb]
            var found = new List<(float, int, int)>[rows];
            Parallel.For(0, rows, parallel, row =>
                found[row] = Candidates(cosines.AsSpan(row * transposed.OutputStride, second.Features), from + row, out largest[from + row]));
            foreach (var of in found)
                candidates.AddRange(of);
        }

        // Equal cosines by place, so that the result is one whatever the order of sorting.
        candidates.Sort((x, y) => x.Cosine != y.Cosine ? y.Cosine.CompareTo(x.Cosine) : x.First != y.First ? x.First.CompareTo(y.First) : x.Second.CompareTo(y.Second));
        var match = new int[first.Features];
        Array.Fill(match, -1);
        var taken = new bool[second.Features];
        foreach (var (_, i, j) in candidates)
            if (match[i] < 0 && !taken[j])
                (match[i], taken[j]) = (j, true);

        var alive = there.Count(x => x);
        return new SeedStability(first.Seed, second.Seed, alive, otherThere.Count(x => x), alive == 0 ? 0 : (double)match.Count(j => j >= 0) / alive,
            alive == 0 ? 0 : Enumerable.Range(0, largest.Length).Where(i => there[i]).Average(i => (double)largest[i]),
            [.. first.Labels.Keys.Where(second.Labels.ContainsKey).Select(task => OfLabels(task, first.Labels[task], second.Labels[task], match))]);
    }

    private static LabelStability OfLabels(string task, IReadOnlyList<string?> labels, IReadOnlyList<string?> others, int[] match)
    {
        int labelled = 0, matched = 0, same = 0;
        var counts = new Dictionary<string, int>();
        var otherCounts = new Dictionary<string, int>();
        for (var i = 0; i < match.Length; i++)
        {
            if (labels[i] is not { } label)
                continue;
            labelled++;
            if (match[i] < 0)
                continue;
            matched++;
            counts[label] = counts.GetValueOrDefault(label) + 1;
            if (others[match[i]] is not { } other)
                continue;
            otherCounts[other] = otherCounts.GetValueOrDefault(other) + 1;
            same += label == other ? 1 : 0;
        }
        if (labelled == 0)
            return new LabelStability(task, 0, 0, 0, 0);
        var chance = matched == 0 ? 0 : counts.Sum(c => (double)c.Value * otherCounts.GetValueOrDefault(c.Key)) / matched;
        return new LabelStability(task, labelled, (double)matched / labelled, (double)same / labelled, chance / labelled);
    }

    /// <summary>Decoder rows at unit length, and which of them are more than zeros.</summary>
    private static (float[] Rows, bool[] There) Unit(SeededDictionary dictionary, ParallelOptions parallel)
    {
        var d = dictionary.Dimension;
        var rows = new float[dictionary.Features * d];
        var there = new bool[dictionary.Features];
        Parallel.For(0, dictionary.Features, parallel, feature =>
        {
            var row = dictionary.Decoder.Span.Slice(feature * d, d);
            var into = rows.AsSpan(feature * d, d);
            var square = 0.0;
            foreach (var value in row)
                square += (double)value * value;
            there[feature] = square > 0;
            var scale = square > 0 ? 1 / Math.Sqrt(square) : 0;
            for (var i = 0; i < d; i++)
                into[i] = (float)(row[i] * scale);
        });
        return (rows, there);
    }

    /// <summary>The highest cosines from the least on, at most <see cref="MostCandidates"/>.</summary>
    private static List<(float, int, int)> Candidates(ReadOnlySpan<float> cosines, int feature, out float largest)
    {
        var found = new List<(float Cosine, int First, int Second)>();
        var max = new Vector<float>(-1);
        largest = -1;
        var least = new Vector<float>(LeastCosine);
        var at = 0;
        for (; at + Vector<float>.Count <= cosines.Length; at += Vector<float>.Count)
        {
            var vector = new Vector<float>(cosines[at..]);
            max = Vector.Max(max, vector);
            if (Vector.GreaterThanOrEqualAny(vector, least))
                Take(cosines, at, at + Vector<float>.Count);
        }
        for (var i = 0; i < Vector<float>.Count; i++)
            largest = Math.Max(largest, max[i]);
        for (var n = at; n < cosines.Length; n++)
            largest = Math.Max(largest, cosines[n]);
        Take(cosines, at, cosines.Length);
        return found;

        void Take(ReadOnlySpan<float> row, int from, int to)
        {
            for (var n = from; n < to; n++)
                if (row[n] >= LeastCosine)
                    found.Add((row[n], feature, n));
            if (found.Count > 4 * MostCandidates)
                Cut();
            if (to == row.Length && found.Count > MostCandidates)
                Cut();
        }

        void Cut()
        {
            found.Sort((x, y) => x.Cosine != y.Cosine ? y.Cosine.CompareTo(x.Cosine) : x.Second.CompareTo(y.Second));
            found.RemoveRange(MostCandidates, found.Count - MostCandidates);
        }
    }
}
