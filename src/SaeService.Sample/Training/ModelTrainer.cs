using System.Diagnostics;
using static TorchSharp.torch;

namespace SaeService.Sample.Training;

/// <summary>
/// Steps, rows a step, tokens a row, peak learning rate, warm-up steps, weight decay, libtorch threads. One thread by default: sums are then in
/// the same order on every number of cores, and a model this small gains little from more.
/// </summary>
public sealed record TrainingSettings(
    int Steps = 2000, int Batch = 4, int ContextLength = 256, double LearningRate = 3e-3, int WarmUp = 100, double WeightDecay = 0.1, int Threads = 1);

/// <summary>Next-token training by autograd: AdamW, warm-up then cosine to a tenth, gradient norm at most 1.</summary>
public static class ModelTrainer
{
    /// <param name="logits">ids [B, T] int64 to logits [B, T, V], differentiable in the parameters</param>
    /// <param name="parameters">leaves that require gradients</param>
    /// <param name="rows">gives rows of T + 1 ids: the first T are read, the last T predicted</param>
    /// <param name="progress">step, loss of the step in nats a token, tokens a second so far</param>
    public static void Train(
        Func<Tensor, Tensor> logits, IReadOnlyList<Tensor> parameters, TrainingRows rows, TrainingSettings settings, Action<int, double, double> progress)
    {
        set_num_threads(settings.Threads);
        using var optimizer = new AdamW(parameters, settings.WeightDecay);
        var clock = Stopwatch.StartNew();
        for (var step = 1; step <= settings.Steps; step++)
        {
            using var scope = NewDisposeScope();
            var ids = tensor(rows.Next(settings.Batch), [settings.Batch, settings.ContextLength + 1]);
            var predicted = logits(ids[.., ..^1]); // [B, T, V]
            var loss = nn.functional.cross_entropy(predicted.reshape(-1, predicted.shape[^1]), ids[.., 1..].reshape(-1));
            loss.backward();
            optimizer.ClipGradients(1.0);
            optimizer.Step(LearningRate(settings, step));
            if (step % 50 == 0 || step == 1 || step == settings.Steps)
                progress(step, loss.item<float>(), step * (double)settings.Batch * settings.ContextLength / clock.Elapsed.TotalSeconds);
        }
    }

    private static double LearningRate(TrainingSettings settings, int step)
    {
        if (step <= settings.WarmUp)
            return settings.LearningRate * step / settings.WarmUp;
        var done = (double)(step - settings.WarmUp) / (settings.Steps - settings.WarmUp);
        return settings.LearningRate * (0.1 + 0.9 * 0.5 * (1 + Math.Cos(Math.PI * done)));
    }
}
