using System.Runtime.InteropServices;
using TorchSharp;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Passes side by side: the bits of every value whatever the number of threads, the order in which they are done, and how they end.</summary>
public sealed class ThreadTests
{
    private static readonly HookPoint[] InBlocks =
        [HookPoint.AttnZ, HookPoint.AttnOut, HookPoint.MlpAct, HookPoint.MlpOut, HookPoint.ResidPost];

    [Theory]
    [InlineData("bert-default")]
    [InlineData("gemma2-default")]
    [InlineData("gpt2-default")]
    [InlineData("gpt_neox-default")]
    [InlineData("llama-default")]
    [InlineData("opt-default")]
    public void Every_value_has_the_same_bits_on_any_number_of_threads(string fixture)
    {
        using var variant = new Variant(fixture);
        var folder = variant.Folder();
        using var model = LanguageModel.Load(folder);
        // Batches of nine sequences at most, some with padding.
        var sequences = Sequences(model, count: 71, length: 23);
        var alone = Captured(model, sequences, threads: 1);
        foreach (var threads in new[] { 2, 3, 5 })
            AssertSame(alone, Captured(model, sequences, threads));
        using var lazy = LanguageModel.Load(folder, mode: LoadMode.LayerByLayer);
        foreach (var threads in new[] { 1, 3 })
            AssertSame(alone, Captured(lazy, sequences, threads));
    }

    [Fact]
    public void Losses_with_values_spliced_in_have_the_same_bits_on_any_number_of_threads()
    {
        using var variant = new Variant("llama-default");
        var folder = variant.Folder();
        foreach (var mode in Enum.GetValues<LoadMode>())
        {
            using var model = LanguageModel.Load(folder, mode: mode);
            var sequences = Sequences(model, count: 23, length: 19);
            // Inside a block, so that a batch runs the blocks before it and then it and those behind.
            var captured = Captured(model, sequences, threads: 1);
            var clean = sequences.Select((_, i) => captured[(HookPoint.MlpOut, 1, i)]).ToArray();
            var zero = clean.Select(x => new float[x.Length]).ToArray();
            var batches = ActivationCapture.Batches([.. sequences.Select(s => s.Length)], [.. Enumerable.Range(0, sequences.Length)], 40);
            SplicedLosses Losses(int threads)
            {
                var pass = new SplicedPass(model, (HookPoint.MlpOut, 1), 2);
                var losses = new SplicedLosses[batches.Count];
                Passes.Run(model, batches.Count, threads, number => losses[number] = pass.Run([.. batches[number].Select(i => new ReadOnlyMemory<int>(sequences[i]))],
                    [[.. batches[number].Select(i => clean[i])], [.. batches[number].Select(i => zero[i])]],
                    // One batch in which nothing counts, and so nothing runs.
                    [.. batches[number].Select(i => Enumerable.Repeat(number != 2, sequences[i].Length).ToArray())]));
                return losses.Aggregate((a, b) => a + b);
            }
            var alone = Losses(1);
            Assert.True(alone.Predictions > 200 && alone.Variants[1].Kl > 0);
            foreach (var threads in new[] { 2, 5 })
            {
                var others = Losses(threads);
                Assert.Equal(alone.Predictions, others.Predictions);
                Assert.Equal(alone.Variants, others.Variants);
            }
        }
    }

    [Fact]
    public void A_pass_has_one_thread_and_as_many_run_at_once_as_may()
    {
        using var variant = new Variant("llama-default");
        using var model = variant.Load();
        var (running, most, told) = (0, 0, new List<int>());
        using var met = new Barrier(3);
        Passes.Run(model, 6, 3, _ =>
        {
            Assert.Equal(1, torch.get_num_threads());
            var now = Interlocked.Increment(ref running);
            // Ends only if three are here.
            met.SignalAndWait(TestContext.Current.CancellationToken);
            lock (told)
                most = Math.Max(most, now);
            met.SignalAndWait(TestContext.Current.CancellationToken);
            Interlocked.Decrement(ref running);
        }, told.Add);
        Assert.Equal(3, most);
        Assert.Equal(6, told[^1]);
        Assert.Equal(told.Distinct().Order(), told);
    }

    [Fact]
    public void What_is_done_has_nothing_missing_before_it()
    {
        using var variant = new Variant("llama-default");
        using var model = variant.Load();
        var ended = new bool[40];
        using var others = new CountdownEvent(30);
        Passes.Run(model, 40, 3, number =>
        {
            // The first of all ends after thirty others.
            if (number == 0)
                others.Wait(TestContext.Current.CancellationToken);
            Volatile.Write(ref ended[number], true);
            if (number is > 0 and <= 30)
                others.Signal();
        }, done => Assert.All(Enumerable.Range(0, done), number => Assert.True(Volatile.Read(ref ended[number]))));
        Assert.DoesNotContain(false, ended);
    }

    [Theory]
    [InlineData(LoadMode.Resident, 1)]
    [InlineData(LoadMode.Resident, 3)]
    [InlineData(LoadMode.LayerByLayer, 1)]
    [InlineData(LoadMode.LayerByLayer, 3)]
    public void The_first_failure_ends_all_and_the_model_can_be_used_again(LoadMode mode, int atOnce)
    {
        using var variant = new Variant("llama-default");
        using var model = LanguageModel.Load(variant.Folder(), mode: mode);
        var sequences = Sequences(model, count: 60, length: 7);
        var capture = new ActivationCapture(model, [(HookPoint.ResidPost, model.Description.Layers - 1)]);
        var begun = 0;
        var failure = Assert.Throws<InvalidDataException>(() => Passes.Run(model, sequences.Length, atOnce, number =>
        {
            Interlocked.Increment(ref begun);
            capture.Run([sequences[number]], (_, _, _) =>
            {
                if (number == 4)
                    throw new InvalidDataException("of the fifth");
            });
        }));
        Assert.Equal("of the fifth", failure.Message);
        // Of others, those that run beside it end; where they share blocks, at the same place.
        if (atOnce == 1 || mode == LoadMode.LayerByLayer)
            Assert.InRange(begun, 5, 5 + 2 * (atOnce - 1));
        Assert.Throws<OperationCanceledException>(() => Passes.Run(model, sequences.Length, atOnce, number => capture.Run([sequences[number]], (_, _, _) => { }),
            _ => throw new OperationCanceledException()));
        var rows = 0;
        Passes.Run(model, sequences.Length, atOnce, number => capture.Run([sequences[number]], (_, _, _) => Interlocked.Increment(ref rows)));
        Assert.Equal(sequences.Length, rows);
        capture.Run([sequences[0]], (_, _, _) => rows++);
        Assert.Equal(sequences.Length + 1, rows);
    }

    private static int[][] Sequences(LanguageModel model, int count, int length)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, count).Select(i => Enumerable.Range(0, length - i % 4).Select(_ => random.Next(model.Description.VocabularySize)).ToArray())];
    }

    private static Dictionary<(HookPoint Point, int Block, int Sequence), float[]> Captured(LanguageModel model, int[][] sequences, int threads)
    {
        (HookPoint, int)[] places = [(HookPoint.Embed, -1), .. Enumerable.Range(0, model.Description.Layers).SelectMany(l => InBlocks.Select(p => (p, l)))];
        var lengths = sequences.Select(s => s.Length).ToArray();
        var batches = ActivationCapture.Batches(lengths, ActivationCapture.Order(lengths), 9 * 23);
        var capture = new ActivationCapture(model, places);
        var captured = new Dictionary<(HookPoint, int, int), float[]>();
        Passes.Run(model, batches.Count, threads, number => capture.Run([.. batches[number].Select(i => new ReadOnlyMemory<int>(sequences[i]))], (place, i, rows) =>
        {
            lock (captured)
                captured.Add((place.Point, place.Block, batches[number][i]), rows.ToArray());
        }));
        Assert.Equal(places.Length * sequences.Length, captured.Count);
        return captured;
    }

    private static void AssertSame<TKey>(Dictionary<TKey, float[]> expected, Dictionary<TKey, float[]> actual) where TKey : notnull
    {
        foreach (var (place, values) in expected)
            Assert.True(MemoryMarshal.AsBytes<float>(values).SequenceEqual(MemoryMarshal.AsBytes<float>(actual[place])), $"other bits at {place}");
    }
}
