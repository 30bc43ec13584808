using SaeService.Autoencoders;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// Codes by feature: feature j fires on <c>Word[Start[j]..Start[j+1]]</c>, ascending, with <c>Value</c> beside it. Every statistic of a feature
/// reads one contiguous run, so features can be shared out over cores with nothing to merge.
/// </summary>
internal sealed class FeatureMajorCodes(int rows, int[] start, int[] word, float[] value)
{
    public int[] Start { get; } = start;   // [F + 1]
    public int[] Word { get; } = word;     // [nnz]
    public float[] Value { get; } = value; // [nnz]
    public int Features => Start.Length - 1;
    public ReadOnlySpan<int> Words(int feature) => Word.AsSpan(Start[feature], Start[feature + 1] - Start[feature]);
    public ReadOnlySpan<float> Values(int feature) => Value.AsSpan(Start[feature], Start[feature + 1] - Start[feature]);

    public static FeatureMajorCodes From(SparseCodes codes)
    {
        var start = new int[codes.Width + 1];
        var nonZeros = checked((int)codes.NonZeros);
        for (var n = 0; n < nonZeros; n++)
            start[codes.Index[n] + 1]++;
        for (var feature = 0; feature < codes.Width; feature++)
            start[feature + 1] += start[feature];
        var next = start[..codes.Width];
        var word = new int[nonZeros];
        var value = new float[nonZeros];
        for (var row = 0; row < codes.Rows; row++)
            for (var n = codes.Start[row]; n < codes.Start[row + 1]; n++)
            {
                var at = next[codes.Index[n]]++;
                word[at] = row;
                value[at] = codes.Value[n];
            }
        return new FeatureMajorCodes(codes.Rows, start, word, value);
    }

    /// <summary>What is left of each feature above a threshold of its own.</summary>
    public FeatureMajorCodes Above(float[] thresholds)
    {
        if (Array.TrueForAll(thresholds, threshold => threshold == 0))
            return this;
        var kept = new int[Features + 1];
        var word = new List<int>(Word.Length);
        var value = new List<float>(Word.Length);
        for (var feature = 0; feature < Features; feature++)
        {
            for (var n = Start[feature]; n < Start[feature + 1]; n++)
                if (Value[n] > thresholds[feature])
                {
                    word.Add(Word[n]);
                    value.Add(Value[n]);
                }
            kept[feature + 1] = word.Count;
        }
        return new FeatureMajorCodes(rows, kept, [.. word], [.. value]);
    }

    /// <summary>Back to rows. Features are visited in order, so the indices of a row ascend.</summary>
    public SparseCodes ToRows()
    {
        var rowStart = new long[rows + 1];
        foreach (var row in Word)
            rowStart[row + 1]++;
        for (var row = 0; row < rows; row++)
            rowStart[row + 1] += rowStart[row];
        var next = rowStart[..rows];
        var index = new int[Word.Length];
        var values = new float[Word.Length];
        for (var feature = 0; feature < Features; feature++)
            for (var n = Start[feature]; n < Start[feature + 1]; n++)
            {
                var at = next[Word[n]]++;
                index[at] = feature;
                values[at] = Value[n];
            }
        return new SparseCodes(Features, rowStart, index, values);
    }
}
