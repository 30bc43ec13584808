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

    /// <summary>x + y. The operator and <c>add(Tensor)</c> make the number 1 themselves, and it belongs to nobody.</summary>
    public static torch.Tensor Plus(this torch.Tensor x, torch.Tensor y) => x.add(y, Of(1L));

    /// <summary>The same, written over x.</summary>
    public static torch.Tensor PlusInPlace(this torch.Tensor x, torch.Tensor y) => x.add_(y, Of(1L));

    /// <summary>x - y, written over x.</summary>
    public static torch.Tensor MinusInPlace(this torch.Tensor x, torch.Tensor y) => x.add_(y, Of(-1L));
}
