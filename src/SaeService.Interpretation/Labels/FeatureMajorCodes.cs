using SaeService.Autoencoders;
using SaeService.Columns;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// Codes by feature: feature j fires on <c>Word[Start[j]..Start[j+1]]</c>, ascending, with <c>Value</c> beside it. Every statistic of a feature
/// reads one contiguous run, so features can be shared out over cores with nothing to merge.
/// </summary>
internal sealed class FeatureMajorCodes(int rows, int[] start, Column<int> word, Column<float> value)
{
    public int[] Start { get; } = start;         // [F + 1]
    public Column<int> Word { get; } = word;     // [nnz]
    public Column<float> Value { get; } = value; // [nnz]
    public int Features => Start.Length - 1;
    public ReadOnlySpan<int> Words(int feature) => Word.Span[Start[feature]..Start[feature + 1]];
    public ReadOnlySpan<float> Values(int feature) => Value.Span[Start[feature]..Start[feature + 1]];

    /// <summary>Words of the feature that fires most often.</summary>
    public int Longest { get; } = Enumerable.Range(0, start.Length - 1).Select(f => start[f + 1] - start[f]).DefaultIfEmpty(0).Max();

    public static FeatureMajorCodes From(SparseCodes codes, ScratchSpace scratch)
    {
        var start = new int[codes.Width + 1];
        var nonZeros = checked((int)codes.NonZeros);
        ReadOnlySpan<int> index = codes.Index;
        ReadOnlySpan<float> activation = codes.Value;
        foreach (var feature in index[..nonZeros])
            start[feature + 1]++;
        for (var feature = 0; feature < codes.Width; feature++)
            start[feature + 1] += start[feature];
        var next = start[..codes.Width];
        var (word, value) = (scratch.New<int>(nonZeros), scratch.New<float>(nonZeros));
        Span<int> words = word.Span;
        Span<float> values = value.Span;
        for (int row = 0, n = 0; row < codes.Rows; row++)
            for (var end = (int)codes.Start[row + 1]; n < end; n++)
            {
                var at = next[index[n]]++;
                words[at] = row;
                values[at] = activation[n];
            }
        return new FeatureMajorCodes(codes.Rows, start, word, value);
    }

    /// <summary>What is left of each feature above a threshold of its own.</summary>
    public FeatureMajorCodes Above(float[] thresholds, ScratchSpace scratch)
    {
        if (Array.TrueForAll(thresholds, threshold => threshold == 0))
            return this;
        var kept = new int[Features + 1];
        for (var feature = 0; feature < Features; feature++)
        {
            kept[feature + 1] = kept[feature];
            foreach (var activation in Values(feature))
                kept[feature + 1] += activation > thresholds[feature] ? 1 : 0;
        }
        var (word, value) = (scratch.New<int>(kept[^1]), scratch.New<float>(kept[^1]));
        for (int feature = 0, at = 0; feature < Features; feature++)
        {
            ReadOnlySpan<int> words = Words(feature);
            ReadOnlySpan<float> values = Values(feature);
            for (var n = 0; n < words.Length; n++)
                if (values[n] > thresholds[feature])
                    (word[at], value[at++]) = (words[n], values[n]);
        }
        return new FeatureMajorCodes(rows, kept, word, value);
    }

    /// <summary>Back to rows. Features are visited in order, so the indices of a row ascend.</summary>
    public SparseCodes ToRows(ScratchSpace scratch)
    {
        var rowStart = scratch.New<long>(rows + 1);
        foreach (var row in Word)
            rowStart[row + 1]++;
        for (var row = 0; row < rows; row++)
            rowStart[row + 1] += rowStart[row];
        using var inner = scratch.Inner();
        var next = inner.New<long>(rows);
        rowStart.Span[..rows].CopyTo(next.Span);
        var (index, values) = (scratch.New<int>(Word.Length), scratch.New<float>(Word.Length));
        for (var feature = 0; feature < Features; feature++)
            for (var n = Start[feature]; n < Start[feature + 1]; n++)
            {
                var at = (int)next[Word[n]]++;
                index[at] = feature;
                values[at] = Value[n];
            }
        return new SparseCodes(Features, rowStart, index, values);
    }
}
