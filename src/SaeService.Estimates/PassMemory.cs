namespace SaeService.Estimates;

/// <summary>
/// What a forward pass holds beside the model, and how many run at once on a CPU: as many as there are threads, if the memory that a worker gives to passes
/// holds them; at least one.
/// </summary>
public static class PassMemory
{
    // Variants of a context that run side by side, and logits of theirs that are held at once.
    private const int Variants = 4;
    private const double Logits = 8 << 20;

    /// <summary>Bytes of a pass that captures.</summary>
    public static double OfCapture(int dModel, int contextLength, WorkerShape worker) => Values(dModel, CaptureTokens(contextLength, worker));

    /// <summary>Bytes of a pass over variants of the same contexts: as they are made and as they run, and thrice their logits.</summary>
    public static double OfSplicing(int dModel, int vocabulary, int contextLength, WorkerShape worker)
    {
        var tokens = SplicedTokens(contextLength, worker);
        return Values(dModel, tokens) + 2 * tokens * dModel * sizeof(float) + 3 * sizeof(float) * Math.Min(Logits, tokens * vocabulary);
    }

    /// <param name="bytes">Of one of them.</param>
    public static int AtOnce(double bytes, WorkerShape worker) => worker.OnGpu ? 1 : (int)Math.Clamp(worker.MaxPassBytes / bytes, 1, worker.Threads);

    /// <summary>Of all that run at once, where there are so many tokens in all.</summary>
    internal static double CapturingAtOnce(JobSize size, WorkerShape worker)
    {
        var length = size.Request.ContextLength!.Value;
        return Together(OfCapture(size.Model.DModel, length, worker), size.Tokens / CaptureTokens(length, worker), worker);
    }

    /// <inheritdoc cref="CapturingAtOnce"/>
    internal static double SplicingAtOnce(JobSize size, WorkerShape worker)
    {
        var length = size.Request.ContextLength!.Value;
        return Together(OfSplicing(size.Model.DModel, size.Model.VocabularySize, length, worker), Variants * size.Tokens / SplicedTokens(length, worker), worker);
    }

    private static double Together(double bytes, double passes, WorkerShape worker) => bytes * Math.Clamp(Math.Ceiling(passes), 1, AtOnce(bytes, worker));

    // Of a batch: what is set, or one context where that is more.
    private static double CaptureTokens(int contextLength, WorkerShape worker) => Math.Max(worker.BatchTokens, contextLength);

    private static double SplicedTokens(int contextLength, WorkerShape worker) => Math.Max(worker.BatchTokens, Variants * (double)contextLength);

    /// <summary>Values of a block: the streams, queries, keys and values, the MLP of about four times the width twice.</summary>
    private static double Values(int dModel, double tokens) => 16 * tokens * dModel * sizeof(float);
}
