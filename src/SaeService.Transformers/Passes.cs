using System.Runtime.ExceptionServices;
using TorchSharp;

namespace SaeService.Transformers;

/// <summary>
/// Forward passes of one model, several at a time. On another number of threads libtorch rounds differently (where a product is cut, which values of a row fall
/// out of its vectors), so on a CPU every pass has one, and as many run as there are threads: what a pass computes is the same however many run beside it.
/// On CUDA they run one after the other, on the calling thread.
/// </summary>
public static class Passes
{
    /// <summary>Runs passes and returns when all have ended.</summary>
    /// <param name="model">What they run. Where its blocks are read one by one, those of all passes that run are the same at any moment.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="atOnce">How many may run at once on a CPU, each on a thread of its own: dispose scopes and no_grad are a thread's.</param>
    /// <param name="pass">Runs the pass of this number, from 0. They begin in order, and all run the same blocks in the same order, or none.</param>
    /// <param name="done">Told on the calling thread, while others run, how many passes have ended with all before them.</param>
    /// <exception cref="Exception">The first that a pass or <paramref name="done"/> threw. After it no pass begins, and those that run come to their end.</exception>
    public static void Run(LanguageModel model, int count, int atOnce, Action<int> pass, Action<int>? done = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(atOnce, 1);
        if (count == 0)
            return;
        if (model.Device.type == DeviceType.CPU)
        {
            new Running(model, count, pass).Run(Math.Min(atOnce, count), done);
            return;
        }
        for (var i = 0; i < count; i++)
        {
            pass(i);
            done?.Invoke(i + 1);
        }
    }

    private sealed class Running(LanguageModel model, int count, Action<int> pass)
    {
        private readonly object _gate = new();
        private readonly bool[] _ended = new bool[count];
        private int _next, _done, _threads;
        private ExceptionDispatchInfo? _failure;

        public void Run(int atOnce, Action<int>? done)
        {
            _threads = atOnce;
            using var blocks = model.ShareBlocks(atOnce);
            var threads = Enumerable.Range(0, atOnce).Select(_ => new Thread(() => Work(blocks)) { IsBackground = true, Name = "forward pass" }).ToArray();
            Array.ForEach(threads, t => t.Start());
            try
            {
                for (var told = 0; AwaitMore(told) is var first && first > told; told = first)
                    done?.Invoke(first);
            }
            catch (Exception e)
            {
                Fail(e);
            }
            Array.ForEach(threads, t => t.Join());
            _failure?.Throw();
        }

        private void Work(SharedBlocks? blocks)
        {
            try
            {
                // Of this thread alone: OpenMP and MKL start from the number of cores on every new one.
                torch.set_num_threads(1);
                while (Take() is { } number)
                {
                    pass(number);
                    End(number);
                }
            }
            catch (Exception e)
            {
                Fail(e);
            }
            finally
            {
                blocks?.Leave();
                lock (_gate)
                {
                    _threads--;
                    Monitor.PulseAll(_gate);
                }
            }
        }

        private int? Take()
        {
            lock (_gate)
                return _failure is null && _next < count ? _next++ : null;
        }

        private void End(int number)
        {
            lock (_gate)
            {
                _ended[number] = true;
                while (_done < count && _ended[_done])
                    _done++;
                Monitor.PulseAll(_gate);
            }
        }

        private void Fail(Exception e)
        {
            lock (_gate)
                _failure ??= ExceptionDispatchInfo.Capture(e);
        }

        /// <summary>Waits until more than <paramref name="told"/> are done or nothing runs any more.</summary>
        private int AwaitMore(int told)
        {
            lock (_gate)
            {
                while (_done == told && _threads > 0)
                    Monitor.Wait(_gate);
                return _failure is null ? _done : told;
            }
        }
    }
}
