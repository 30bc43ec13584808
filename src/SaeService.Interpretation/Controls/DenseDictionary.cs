using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// Directions that every vector has a projection on, so that without more they would all fire always. What makes a dictionary of them that can be
/// compared with an autoencoder is <see cref="MatchedCodes"/>.
/// </summary>
/// <param name="Features">F.</param>
/// <param name="Directions">Of features <c>first .. first + count - 1</c>: [count, d], row-major. The same however the features are taken in chunks.</param>
public sealed record DenseDictionary(int Features, Func<int, int, float[]> Directions)
{
    /// <summary>Unit vectors drawn at random, each from a stream of its own.</summary>
    public static DenseDictionary Random(int features, int d, int seed) => new(features, (first, count) =>
    {
        var directions = new float[count * d];
        for (var n = 0; n < count; n++)
        {
            var random = new CounterRandom(seed, first + n);
            var direction = new double[d];
            var norm = 0.0;
            for (var i = 0; i < d; i++)
            {
                direction[i] = random.NextNormal();
                norm += direction[i] * direction[i];
            }
            for (var i = 0; i < d; i++)
                directions[n * d + i] = (float)(direction[i] / Math.Sqrt(norm));
        }
        return directions;
    });

    /// <summary>
    /// The neurons themselves, each z-scored so that one of large variance is not always among the highest, and each up and down: [x - μ; -(x - μ)] / σ.
    /// A neuron that does not vary is left silent.
    /// </summary>
    public static DenseDictionary Identity(double[] variance)
    {
        var d = variance.Length;
        var scale = Array.ConvertAll(variance, v => v > 0 ? (float)(1 / Math.Sqrt(v)) : 0);
        return new(2 * d, (first, count) =>
        {
            var directions = new float[count * d];
            for (var n = 0; n < count; n++)
            {
                var (sign, neuron) = Math.DivRem(first + n, d);
                directions[n * d + neuron] = sign == 0 ? scale[neuron] : -scale[neuron];
            }
            return directions;
        });
    }

    /// <summary>Each direction and its opposite: what ICA and PCA find has no sign of its own.</summary>
    /// <param name="directions">[c, d]</param>
    public static DenseDictionary OfBothSigns(float[] directions, int d)
    {
        var components = directions.Length / d;
        return new(2 * components, (first, count) =>
        {
            var signed = new float[count * d];
            for (var n = 0; n < count; n++)
            {
                var (sign, component) = Math.DivRem(first + n, components);
                for (var i = 0; i < d; i++)
                    signed[n * d + i] = sign == 0 ? directions[component * d + i] : -directions[component * d + i];
            }
            return signed;
        });
    }
}
