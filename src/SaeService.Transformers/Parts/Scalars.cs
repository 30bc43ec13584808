using System.Collections.Concurrent;
using TorchSharp;

namespace SaeService.Transformers.Parts;

/// <summary>
/// Numbers for tensor operations that live as long as the process. A number that is converted on the way into an operation belongs to nobody once
/// its handle was read, and a collection at that moment frees it under the native code: "Expected false to be true", once in some ten thousand
/// forward passes on a busy machine. There are only a handful of different ones.
/// </summary>
internal static class Scalars
{
    private static readonly ConcurrentDictionary<double, Scalar> s_doubles = new();
    private static readonly ConcurrentDictionary<long, Scalar> s_integers = new();

    public static Scalar Of(double value) => s_doubles.GetOrAdd(value, v => v);

    public static Scalar Of(long value) => s_integers.GetOrAdd(value, v => v);
}
