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
    private readonly ColumnList<int> _words;         // those in windows, in order
    private readonly ColumnList<int> _start;         // [windows + 1] into the words
    private readonly ColumnList<(int First, int End)> _sentence; // [windows] of the whole sentence, into the words
    private readonly int[] _carried;                 // [K] windows in which some word carries the label
    private readonly double[] _expected;             // [K] the same, expected with labels shuffled inside sentences

    public DetectionWindows(LabelledWords words, WordPlaces places, TaskLabels labels, ScratchSpace scratch)
    {
        _labels = labels;
        (_words, _start, _sentence) = (new(scratch), new(scratch) { 0 }, new(scratch));
        _windowOf = scratch.New<int>(words.Count);
        _windowOf.Span.Fill(-1);
        for (var from = 0; from < words.Count;)
        {
            var to = from;
            var first = _words.Count;
            for (; to < words.Count && words.Sentence[to] == words.Sentence[from]; to++)
                if (!places.IsTrain(to) && labels.Of[to] >= 0)
                    _words.Add(to);
            AddSentence(first);
            from = to;
        }
        _carried = new int[labels.Names.Length];
        _expected = new double[labels.Names.Length];
        var seen = new int[labels.Names.Length]; // the window or sentence that counted a label last, from 1
        for (var window = 0; window < Count; window++)
        {
            for (var n = _start[window]; n < _start[window + 1]; n++)
                if (seen[LabelAt(n)] != window + 1)
                {
                    seen[LabelAt(n)] = window + 1;
                    _carried[LabelAt(n)]++;
                }
        }
        Array.Clear(seen);
        for (var window = 0; window < Count; window++)
            for (var n = _sentence[window].First; n < _sentence[window].End; n++)
                if (seen[LabelAt(n)] != window + 1)
                {
                    seen[LabelAt(n)] = window + 1;
                    _expected[LabelAt(n)] += Expected(window, InSentence(window, LabelAt(n)));
                }
    }

    public int Count => _start.Count - 1;

    /// <summary>Null where the feature fires in no window, or in all.</summary>
    /// <param name="fires">Words on which the feature fires, ascending.</param>
    public DetectionScore? Score(ReadOnlySpan<int> fires, int label)
    {
        int firing = 0, carried = 0, fired = 0, firedCarrying = 0, others = 0, othersCarrying = 0;
        double expected = 0, shareFired = 0, shareOthers = 0;
        ReadOnlySpan<int> windowOf = _windowOf, labelOf = _labels.Of, words = _words.Span;
        for (var n = 0; n < fires.Length;)
        {
            var window = windowOf[fires[n]];
            if (window < 0)
            {
                n++;
                continue;
            }
            int here = 0, carryingHere = 0, carrying = 0;
            for (; n < fires.Length && windowOf[fires[n]] is var next && (next == window || next < 0); n++)
            {
                if (next < 0)
                    continue;
                here++;
                carryingHere += labelOf[fires[n]] == label ? 1 : 0;
            }
            foreach (var word in words[_start[window].._start[window + 1]])
                carrying += labelOf[word] == label ? 1 : 0;
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

    /// <summary>The words added last are a sentence: cuts them into windows.</summary>
    private void AddSentence(int first)
    {
        for (var at = first; at < _words.Count; at += MostWords)
        {
            var end = Math.Min(_words.Count, at + MostWords);
            for (var n = at; n < end; n++)
                _windowOf[_words[n]] = Count;
            _sentence.Add((first, _words.Count));
            _start.Add(end);
        }
    }

    private int LabelAt(int n) => _labels.Of[_words[n]];

    private int InSentence(int window, int label)
    {
        var count = 0;
        ReadOnlySpan<int> labelOf = _labels.Of;
        foreach (var word in _words.Span[_sentence[window].First.._sentence[window].End])
            count += labelOf[word] == label ? 1 : 0;
        return count;
    }

    /// <summary>
    /// Chance that a window has one of the <paramref name="carrying"/> labels of its sentence when these are dealt out anew: 1 - C(n - m, k) / C(n, k) for k of n words and m
    /// labels.
    /// </summary>
    private double Expected(int window, int carrying)
    {
        var n = _sentence[window].End - _sentence[window].First;
        var without = 1.0;
        for (var i = 0; i < _start[window + 1] - _start[window] && without > 0; i++)
            without *= Math.Max(0, n - carrying - i) / (double)(n - i);
        return 1 - without;
    }
}
