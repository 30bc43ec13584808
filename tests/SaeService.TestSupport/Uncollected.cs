using System.Runtime;

namespace SaeService.TestSupport;

/// <summary>
/// Runs TorchSharp's own code with no garbage collection meanwhile. A number that is converted on the way into one of its operations belongs to nobody once its handle was
/// read, and a collection at that moment frees it under the native code: "Expected false to be true", once in some thousand steps of an optimizer on a busy machine.
/// Where we call the operations ourselves, the numbers are kept.
/// </summary>
public static class Uncollected
{
    // There is one such region a process.
    private static readonly Lock s_region = new();

    public static void Run(Action action)
    {
        lock (s_region)
        {
            GC.TryStartNoGCRegion(64 << 20);
            try
            {
                action();
            }
            finally
            {
                // Not where more was allocated meanwhile, by whatever else runs here: it is over then.
                if (GCSettings.LatencyMode == GCLatencyMode.NoGCRegion)
                    GC.EndNoGCRegion();
            }
        }
    }
}
