using System.Runtime.InteropServices;

namespace SaeService.Pipeline;

/// <summary>What a GPU has, asked of NVIDIA's driver: TorchSharp has no call for it. Devices are numbered as libtorch numbers them.</summary>
/// <remarks>The functions are those of the CUDA driver API, <c>cuInit</c>, <c>cuDeviceGet</c> and <c>cuDeviceTotalMem</c>.</remarks>
internal static class GpuLimits
{
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Initialise(uint flags);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int DeviceGet(out int device, int ordinal);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int DeviceTotalMemory(out nuint bytes, int device);

    /// <summary>Bytes of memory of a device; null where there is no driver, or it has no such device.</summary>
    /// <param name="ordinal">Below 0: the first.</param>
    public static long? TotalMemory(int ordinal)
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out var driver))
            return null;
        // 0 is success, of each of them.
        if (Function<Initialise>("cuInit") is not { } initialise || initialise(0) != 0
            || Function<DeviceGet>("cuDeviceGet") is not { } get || get(out var device, Math.Max(0, ordinal)) != 0
            || Function<DeviceTotalMemory>("cuDeviceTotalMem_v2") is not { } total || total(out var bytes, device) != 0)
            return null;
        return (long)bytes;

        T? Function<T>(string name) where T : Delegate =>
            NativeLibrary.TryGetExport(driver, name, out var address) ? Marshal.GetDelegateForFunctionPointer<T>(address) : null;
    }
}
