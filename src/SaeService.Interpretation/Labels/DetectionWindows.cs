using SaeService.Columns;
using SaeService.Contracts;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// The held-out windows of a task, and the detection and fuzzing scores of labels as explanations (<see cref="DetectionScore"/>). A window is a run of at most
/// <see cref="MostWords"/> words of one sentence that the task labels, delphi's length of context.
/// </summary>
internal sealed class DetectionWindows
{
    public const int MostWords = 32;

    private readonly TaskLabels _labels;
    private readonly Column<int> _windowOf;          // [N], -1: of train documents, or unlabelled
    private readonly ColumnList<int> _labelOf;       // of the words in windows, in order, so that those of a window are counted many at a time
    private readonly ColumnList<int> _start;         // [windows + 1] into these
    private readonly ColumnList<(int First, int End)> _sentence; // [windows] of the whole sentence, into these
    private readonly int[] _carried;                 // [K] windows in which some word carries the label
    private readonly double[] _expected;             // [K] the same, expected with labels shuffled inside sentences

    public DetectionWindows(LabelledWords words, WordPlaces places, TaskLabels labels, ScratchSpace scratch)
    {
        _labels = labels;
        (_labelOf, _start, _sentence) = (new(scratch), new(scratch) { 0 }, new(scratch));
        _windowOf = scratch.New<int>(words.Count);
        _windowOf.Span.Fill(-1);
        var sentence = new List<int>();
        for (var from = 0; from < words.Count;)
        {
            var to = from;
            sentence.Clear();
            for (; to < words.Count && words.Sentence[to] == words.Sentence[from]; to++)
                if (!places.IsTrain(to) && labels.Of[to] >= 0)
                    sentence.Add(to);
            Add(sentence);
            from = to;
        }
        _carried = new int[labels.Names.Length];
        _expected = new double[labels.Names.Length];
        var seen = new int[labels.Names.Length]; // the window or sentence that counted a label last, from 1
        for (var window = 0; window < Count; window++)
        {
            for (var n = _start[window]; n < _start[window + 1]; n++)
                if (seen[_labelOf[n]] != window + 1)
                {
                    seen[_labelOf[n]] = window + 1;
                    _carried[_labelOf[n]]++;
                }
        }
        Array.Clear(seen);
        for (var window = 0; window < Count; window++)
            for (var n = _sentence[window].First; n < _sentence[window].End; n++)
                if (seen[_labelOf[n]] != window + 1)
                {
                    seen[_labelOf[n]] = window + 1;
                    _expected[_labelOf[n]] += Expected(window, InSentence(window, _labelOf[n]));
                }
    }

    public int Count => _start.Count - 1;

    /// <summary>Null where the feature fires in no window, or in all.</summary>
    /// <param name="fires">Words on which the feature fires, ascending.</param>
    public DetectionScore? Score(ReadOnlySpan<int> fires, int label)
    {
        int firing = 0, carried = 0, fired = 0, firedCarrying = 0, others = 0, othersCarrying = 0;
        double expected = 0, shareFired = 0, shareOthers = 0;
        ReadOnlySpan<int> windowOf = _windowOf, labelOf = _labels.Of, inWindows = _labelOf.Span;
        for (var n = 0; n < fires.Length;)
        {
            var window = windowOf[fires[n]];
            if (window < 0)
            {
                n++;
                continue;
            }
            int here = 0, carryingHere = 0;
            for (; n < fires.Length && windowOf[fires[n]] is var next && (next == window || next < 0); n++)
            {
                if (next < 0)
                    continue;
                here++;
                carryingHere += labelOf[fires[n]] == label ? 1 : 0;
            }
            var carrying = inWindows[_start[window].._start[window + 1]].Count(label);
            var length = _start[window + 1] - _start[window];
            var (first, end) = _sentence[window];
            var inSentence = end - first == length ? carrying : InSentence(window, label);
            var share = (double)inSentence / (end - first);
            firing++;
            carried += carrying > 0 ? 1 : 0;
            expected += Expected(window, inSentence);
            fired += here;
            firedCarrying += carryingHere;
            others += length - here;
            othersCarrying += carrying - carryingHere;
            shareFired += here * share;
            shareOthers += (length - here) * share;
        }
        var silent = Count - firing;
        if (firing == 0 || silent == 0)
            return null;
        return new DetectionScore(
            Balanced((double)carried / firing, (double)(_carried[label] - carried) / silent),
            Balanced(expected / firing, (_expected[label] - expected) / silent),
            others == 0 ? null : Balanced((double)firedCarrying / fired, (double)othersCarrying / others),
            others == 0 ? null : Balanced(shareFired / fired, shareOthers / others),
            firing, silent);
    }

    /// <summary>Accuracy over draws that are half positive, half negative.</summary>
    private static double Balanced(double saidOfPositives, double saidOfNegatives) => (saidOfPositives + 1 - saidOfNegatives) / 2;

    /// <summary>Cuts the words of a sentence that the task labels into windows.</summary>
    private void Add(List<int> sentence)
    {
        var first = _labelOf.Count;
        for (var n = 0; n < sentence.Count; n++)
        {
            _windowOf[sentence[n]] = Count;
            _labelOf.Add(_labels.Of[sentence[n]]);
            if ((n + 1) % MostWords != 0 && n + 1 < sentence.Count)
                continue;
            _sentence.Add((first, first + sentence.Count));
            _start.Add(_labelOf.Count);
        }
    }

    private int InSentence(int window, int label) => _labelOf.Span[_sentence[window].First.._sentence[window].End].Count(label);

    /// <summary>
    /// Chance that a window has one of the <paramref name="carrying"/> labels of its sentence when these are dealt out anew: 1 - C(n - m, k) / C(n, k) for k of n words and m
    /// labels.
    /// </summary>
    private double Expected(int window, int carrying)
    {
        var (n, k) = (_sentence[window].End - _sentence[window].First, _start[window + 1] - _start[window]);
        if (k == n)
            return carrying > 0 ? 1 : 0;
        var without = 1.0;
        for (var i = 0; i < k && without > 0; i++)
            without *= Math.Max(0, n - carrying - i) / (double)(n - i);
        return 1 - without;
    }
}
