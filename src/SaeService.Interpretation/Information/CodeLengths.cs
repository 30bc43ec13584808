using SaeService.Columns;

namespace SaeService.Interpretation.Information;

/// <summary>What a predictor of labels costs on the scored words, in bits, summed by document; and what it gets right.</summary>
/// <param name="words">The scored words: position of each one's document, and its class.</param>
internal sealed class CodeLengths(ScoredWords words, ScratchSpace scratch)
{
    private readonly Column<int> _predicted = scratch.New<int>(words.Classes.Length);

    /// <summary>By document: Σ -log2 p(class).</summary>
    public double[] Bits { get; } = new double[words.Documents.Length];

    /// <summary>By class and document: Σ -log2 of the binary distribution of 1[class].</summary>
    public double[][] LabelBits { get; } = [.. Enumerable.Range(0, words.ClassCount).Select(_ => new double[words.Documents.Length])];

    public double MeanBits => Bits.Sum() / words.Classes.Length;

    public double Accuracy => (double)RightByClass().Sum() / _predicted.Length;

    /// <summary>Mean F1 over the labels that scored words carry.</summary>
    public double MacroF1
    {
        get
        {
            var f1 = F1();
            return f1.Where((_, c) => words.Support[c] > 0).Average();
        }
    }

    /// <summary>By class, of "the likeliest class is this one"; 0 where no scored word has the class and none is taken for it.</summary>
    public double[] F1()
    {
        int[] right = RightByClass(), predicted = new int[words.ClassCount];
        foreach (var c in _predicted)
            predicted[c]++;
        return [.. Enumerable.Range(0, words.ClassCount).Select(c => right[c] == 0 ? 0 : 2.0 * right[c] / (predicted[c] + words.Support[c]))];
    }

    private int[] RightByClass()
    {
        var right = new int[words.ClassCount];
        for (var i = 0; i < _predicted.Length; i++)
            if (_predicted[i] == words.Classes[i])
                right[_predicted[i]]++;
        return right;
    }

    /// <param name="word">Position among the scored words.</param>
    /// <param name="p">[classes]</param>
    public void Add(int word, ReadOnlySpan<double> p)
    {
        var document = words.Document[word];
        var truth = words.Classes[word];
        Bits[document] += TaskClasses.Bits(p[truth]);
        var best = 0;
        for (var c = 0; c < p.Length; c++)
        {
            LabelBits[c][document] += TaskClasses.Bits(c == truth ? p[c] : 1 - p[c]);
            if (p[c] > p[best])
                best = c;
        }
        _predicted[word] = best;
    }
}

/// <summary>The test words that are scored: those whose label some train word carries.</summary>
internal sealed class ScoredWords
{
    public ScoredWords(LabelledWords words, TaskLabels task, Column<int> test, TaskClasses classes, ScratchSpace scratch)
    {
        Documents = [.. Enumerable.Range(0, words.PartOfDocument.Length).Where(document => words.PartOfDocument[document] == Part.Test)];
        var position = new Dictionary<int, int>(Documents.Length);
        for (var i = 0; i < Documents.Length; i++)
            position[Documents[i]] = i;
        var scored = new ColumnList<int>(scratch);
        foreach (var word in test)
            if (classes.Of(task.Of[word]) >= 0)
                scored.Add(word);
        Words = scored.Complete();
        Unseen = test.Length - Words.Length;
        Classes = scratch.New(Words.Length, i => classes.Of(task.Of[Words[i]]));
        Document = scratch.New(Words.Length, i => position[words.Document[Words[i]]]);
        ClassCount = classes.Count;
        (Support, WordsOf) = (new int[ClassCount], new int[Documents.Length]);
        for (var i = 0; i < Words.Length; i++)
        {
            Support[Classes[i]]++;
            WordsOf[Document[i]]++;
        }
    }

    /// <summary>Indices into <see cref="LabelledWords"/>.</summary>
    public Column<int> Words { get; }

    /// <summary>Test words left out.</summary>
    public int Unseen { get; }
    public Column<int> Classes { get; }
    public int ClassCount { get; }

    /// <summary>Position of each word's document in <see cref="Documents"/>.</summary>
    public Column<int> Document { get; }

    /// <summary>Every test document, ascending.</summary>
    public int[] Documents { get; }

    /// <summary>Scored words by document.</summary>
    public int[] WordsOf { get; }

    /// <summary>Scored words by class.</summary>
    public int[] Support { get; }

    /// <summary>Of the label frequencies of the scored words, bits.</summary>
    public double EntropyBits => Support.Where(n => n > 0).Sum(n => -(double)n / Words.Length * Math.Log2((double)n / Words.Length));

    /// <summary>The control task's class of each scored word.</summary>
    public Column<int> ControlClasses(LabelledWords words, TaskClasses classes, long seed, ScratchSpace scratch) =>
        scratch.New(Words.Length, i => ControlLabels.OfType(words.Type[Words[i]], classes.Share, seed));

    public int[] Positives(int c)
    {
        var positives = new int[Documents.Length];
        for (var i = 0; i < Classes.Length; i++)
            if (Classes[i] == c)
                positives[Document[i]]++;
        return positives;
    }
}
