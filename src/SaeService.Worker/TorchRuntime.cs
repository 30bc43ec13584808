using SaeService.Pipeline;
using TorchSharp;

namespace SaeService.Worker;

/// <summary>libtorch, loaded once when the worker starts: a machine on which it does not load says so at once and not in the first job.</summary>
internal static partial class TorchRuntime
{
    public static void Start(WorkerOptions options, ILogger logger)
    {
        try
        {
            torch.InitializeDeviceType(options.IsCuda ? DeviceType.CUDA : DeviceType.CPU);
        }
        catch (Exception error)
        {
            throw new InvalidOperationException(
                $"libtorch for device '{options.Device}' does not load here. CUDA needs a worker built with -p:TorchBackend=cuda and an NVIDIA driver: {error.Message}", error);
        }
        // On a CPU what libtorch computes runs on one thread, side by side with more of the same (Passes): so no result depends on the number of threads.
        torch.set_num_threads(options.IsCuda ? Math.Max(1, options.Threads) : 1);
        Loaded(logger, options.Name, options.Device, options.Threads, torch.__version__);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} on {Device} with {Threads} threads, libtorch {Version}")]
    private static partial void Loaded(ILogger logger, string name, string device, int threads, string version);
}
