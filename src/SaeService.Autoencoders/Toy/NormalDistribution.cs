namespace SaeService.Autoencoders.Toy;

/// <summary>The standard normal distribution function and its inverse, to about 1e-15 of probability.</summary>
internal static class NormalDistribution
{
    private const double Far = 8.3;   // beyond it the smaller tail is below 1e-16

    /// <summary>Φ(z) = 1/2 + φ(z) (z + z³/3 + z⁵/(3·5) + …): all terms have one sign (Marsaglia 2004, J. Stat. Software 11(4)).</summary>
    public static double Cdf(double z)
    {
        if (Math.Abs(z) >= Far)
            return z < 0 ? 0 : 1;
        var (term, sum, before) = (z, z, 0.0);
        for (var i = 3; sum != before; i += 2)
        {
            before = sum;
            term *= z * z / i;
            sum += term;
        }
        return Math.Clamp(0.5 + sum * Math.Exp(-0.5 * z * z) / Math.Sqrt(2 * Math.PI), 0, 1);
    }

    /// <summary>The z with Φ(z) = p, by bisection: it is wanted once for a feature.</summary>
    public static double Quantile(double p)
    {
        if (!(p > 0))
            return double.NegativeInfinity;
        if (p >= 1)
            return double.PositiveInfinity;
        var (low, high) = (-Far, Far);
        for (var i = 0; i < 64; i++)
        {
            var middle = (low + high) / 2;
            if (Cdf(middle) < p)
                low = middle;
            else
                high = middle;
        }
        return (low + high) / 2;
    }
}
