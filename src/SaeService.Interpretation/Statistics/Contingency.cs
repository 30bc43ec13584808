namespace SaeService.Interpretation.Statistics;

/// <summary>A feature against a label, over <paramref name="Total"/> words (method 1b).</summary>
/// <param name="Hits">Words with the label on which the feature fires.</param>
/// <param name="Active">Words on which it fires.</param>
/// <param name="Labelled">Words with the label.</param>
public readonly record struct Contingency(int Hits, int Active, int Labelled, int Total)
{
    /// <summary>z of a two-sided 95 % interval.</summary>
    public const double Z95 = 1.959963984540054;

    public double Precision => Active == 0 ? 0 : (double)Hits / Active;
    public double Recall => Labelled == 0 ? 0 : (double)Hits / Labelled;
    public double F1 => Active + Labelled == 0 ? 0 : 2.0 * Hits / (Active + Labelled);
    public double BaseRate => Total == 0 ? 0 : (double)Labelled / Total;
    public double Lift => Labelled == 0 ? 0 : Precision / BaseRate;

    /// <summary>(P - base) / (1 - base): precision after the base rate is taken out. 0 where every word carries the label.</summary>
    public double Kappa => Labelled == Total ? 0 : (Precision - BaseRate) / (1 - BaseRate);

    /// <summary>Matthews' correlation; 0 where a margin is empty.</summary>
    public double Mcc
    {
        get
        {
            double tp = Hits, fp = Active - Hits, fn = Labelled - Hits, tn = Total - Active - fn;
            var margins = Math.Sqrt((double)Active * Labelled) * Math.Sqrt((double)(Total - Active) * (Total - Labelled));
            return margins == 0 ? 0 : (tp * tn - fp * fn) / margins;
        }
    }

    /// <summary>Wilson's 95 % interval of the precision; [0, 1] where the feature never fires.</summary>
    public (double Low, double High) Wilson => WilsonInterval(Hits, Active);

    /// <summary>log10 of the one-sided hypergeometric tail P(X ≥ hits), which is Fisher's exact test.</summary>
    public double Log10P => Hypergeometric.Log10UpperTail(Hits, Active, Labelled, Total);

    /// <summary>I(fires; label) in bits, by counting.</summary>
    public double MutualInformationBits =>
        DiscreteInformation.MutualInformationBits([Hits, Active - Hits, Labelled - Hits, Total - Active - Labelled + Hits], 2, 2);

    public static (double Low, double High) WilsonInterval(int hits, int n)
    {
        if (n == 0)
            return (0, 1);
        const double z2 = Z95 * Z95;
        var p = (double)hits / n;
        var centre = p + z2 / (2 * n);
        var spread = Z95 * Math.Sqrt(p * (1 - p) / n + z2 / (4.0 * n * n));
        return ((centre - spread) / (1 + z2 / n), (centre + spread) / (1 + z2 / n));
    }
}
