using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// Minimum description length of labels given vectors by online code (Voita and Titov 2020, eq. 4): L = n_1 log2 K + Σ_i code of block i + 1 by the probe fitted
/// on blocks 1..i. Measured on the probes' train words, in the order of shuffled sentences; standardisation sees no later block either.
/// </summary>
/// <remarks>
/// Two things a code needs that a score does not. Any label may come next, so the probe, which only knows the labels it was fitted on, is mixed with the uniform
/// distribution as one pseudo-word: (n q + 1/K) / (n + 1). And what is decided by λ is the strength of a prior, which does not grow with the data: with n of N
/// words the penalty is λ N / n.
/// </remarks>
public static class OnlineCodeLength
{
    private static readonly double[] Fractions = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1];
    private const long Stream = 0x6D646C;

    /// <param name="dimension">Of the vectors that <paramref name="gather"/> writes.</param>
    /// <param name="lambda">Of the task's probes on all train words.</param>
    /// <exception cref="UnmeasurableTaskException">Fewer than two labels, or too few words, on train.</exception>
    public static OnlineCode Measure(LabelledWords words, TaskLabels task, ProbeWords chosen, int dimension, GatherVectors gather, double lambda,
        InformationRules rules, CancellationToken cancel = default)
    {
        var classes = VInformation.Classes(task, chosen, rules);
        var blocks = Blocks(words, chosen.Train, rules.Seed);
        var ordered = blocks.SelectMany(b => b.Words).ToArray();
        var control = ControlLabels.ByType(Array.ConvertAll(ordered, word => words.Type[word]), classes.Share, rules.Seed);
        var controlOf = new Dictionary<int, int>(ordered.Length);
        for (var i = 0; i < ordered.Length; i++)
            controlOf[ordered[i]] = control[i];
        Coder ofTask = new(word => classes.Of(task.Of[word]), classes.Count), ofControl = new(word => controlOf[word], classes.Count);

        var input = new ProbeInput(dimension, gather);
        ofTask.Uniform(blocks[0]);
        ofControl.Uniform(blocks[0]);
        var seen = 0;
        for (var i = 0; i < blocks.Count; i++)
        {
            seen += blocks[i].Words.Length;
            var past = ordered[..seen];
            Array.Sort(past);
            // The last probe, fitted on all words, codes them all: what the data costs once the probe is known.
            var coded = i + 1 < blocks.Count ? blocks[i + 1].Words : past;
            var penalty = lambda * ordered.Length / seen;
            var design = input.Design(past, rules.Threads, cancel);
            ofTask.Fit(design, past, penalty);
            ofControl.Fit(design, past, penalty);
            var target = i + 1 < blocks.Count ? blocks[i + 1] : null;
            input.Stream(design, coded, (from, rows, x) =>
            {
                cancel.ThrowIfCancellationRequested();
                ofTask.Code(coded, from, rows, x, target is not null);
                ofControl.Code(coded, from, rows, x, target is not null);
            });
            ofTask.End(target);
            ofControl.End(target);
        }
        return ofTask.Result() with { Control = ofControl.Result() };
    }

    private sealed record Block(double Fraction, int[] Words);

    /// <summary>Words by block, ascending within it. Fractions that come to the same number of sentences are one.</summary>
    private static List<Block> Blocks(LabelledWords words, int[] train, int seed)
    {
        var bySentence = train.GroupBy(word => words.Sentence[word]).Select(g => g.ToArray()).ToArray();
        new CounterRandom(seed ^ Stream, 0).Shuffle<int[]>(bySentence);
        var blocks = new List<Block>();
        var from = 0;
        foreach (var fraction in Fractions)
        {
            var to = (int)Math.Ceiling(fraction * bySentence.Length);
            if (to == from)
                continue;
            int[] block = [.. bySentence[from..to].SelectMany(s => s).Order()];
            blocks.Add(new(fraction, block));
            from = to;
        }
        return blocks;
    }

    private sealed class Coder(Func<int, int> classOf, int classes)
    {
        private readonly List<OnlineCodeBlock> _blocks = [];
        private TaskClasses _known = null!;
        private LinearProbe? _probe; // null: all words so far are of one class
        private int _words, _fitted;
        private double _block, _data;

        public void Uniform(Block block)
        {
            _words = block.Words.Length;
            _blocks.Add(new(block.Fraction, _words, _words * Math.Log2(classes)));
        }

        public void Fit(ProbeDesign design, int[] past, double penalty)
        {
            var labels = Array.ConvertAll(past, word => classOf(word));
            _fitted = past.Length;
            _known = new TaskClasses(labels, classes);
            _probe = _known.Count < 2 ? null : LinearProbe.Fit(design, Array.ConvertAll(labels, _known.Of), _known.Count, penalty);
        }

        public void Code(int[] words, int from, int rows, float[] x, bool next)
        {
            var log = new double[rows * _known.Count]; // ln 1 where there is no probe
            _probe?.LogProbabilities(x, rows, log);
            for (var row = 0; row < rows; row++)
            {
                var known = _known.Of(classOf(words[from + row]));
                var q = known < 0 ? 0 : Math.Exp(log[row * _known.Count + known]);
                var bits = -Math.Log2((_fitted * q + 1.0 / classes) / (_fitted + 1));
                if (next)
                    _block += bits;
                else
                    _data += bits;
            }
        }

        public void End(Block? block)
        {
            if (block is null)
                return;
            _words += block.Words.Length;
            _blocks.Add(new(block.Fraction, _words, _block));
            _block = 0;
        }

        public OnlineCode Result()
        {
            double bits = _blocks.Sum(b => b.Bits), uniform = _words * Math.Log2(classes);
            return new()
            {
                Words = _words,
                Labels = classes,
                Bits = bits,
                UniformBits = uniform,
                Compression = uniform / bits,
                DataBits = _data,
                ModelBits = bits - _data,
                Blocks = _blocks,
            };
        }
    }
}
