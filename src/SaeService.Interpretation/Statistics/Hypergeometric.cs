namespace SaeService.Interpretation.Statistics;

/// <summary>Draws without replacement, in logarithms: with tens of thousands of words the probabilities underflow.</summary>
public static class Hypergeometric
{
    /// <summary>
    /// log10 P(X ≥ <paramref name="hits"/>) where X counts the labelled among <paramref name="active"/> words drawn from <paramref name="total"/>,
    /// of which <paramref name="labelled"/> carry the label.
    /// </summary>
    public static double Log10UpperTail(int hits, int active, int labelled, int total)
    {
        var most = Math.Min(active, labelled);
        var least = Math.Max(0, active + labelled - total);
        if (active < 0 || labelled < 0 || active > total || labelled > total)
            throw new ArgumentException($"{active} active and {labelled} labelled of {total} words is impossible");
        if (hits <= least)
            return 0;
        if (hits > most)
            return double.NegativeInfinity;

        // Terms fall monotonically above the mode: sum whichever tail does not contain it, relative to its largest term.
        var mode = (int)((active + 1.0) * (labelled + 1.0) / (total + 2.0));
        if (hits > mode)
            return (LogTerm(hits, active, labelled, total) + Math.Log(Ratios(hits, most, active, labelled, total, 1))) / Math.Log(10);
        var below = LogTerm(hits - 1, active, labelled, total) + Math.Log(Ratios(hits - 1, least, active, labelled, total, -1));
        return LogOneMinusExp(below) / Math.Log(10);
    }

    private static double LogTerm(int x, int active, int labelled, int total) =>
        SpecialFunctions.LogBinomial(labelled, x) + SpecialFunctions.LogBinomial(total - labelled, active - x) - SpecialFunctions.LogBinomial(total, active);

    /// <summary>Σ P(x) / P(from) for x from <paramref name="from"/> to <paramref name="to"/>, stopping where terms no longer count.</summary>
    private static double Ratios(int from, int to, double active, double labelled, double total, int step)
    {
        double sum = 1, term = 1;
        for (var x = from; x != to && term > sum * 1e-17; x += step)
        {
            term *= step > 0
                ? (labelled - x) * (active - x) / ((x + 1) * (total - labelled - active + x + 1))
                : x * (total - labelled - active + x) / ((labelled - x + 1) * (active - x + 1));
            sum += term;
        }
        return sum;
    }

    private static double LogOneMinusExp(double log) =>
        log >= 0 ? double.NegativeInfinity : log > -0.6931471805599453 ? Math.Log(-MathExpM1(log)) : Math.Log(1 - Math.Exp(log));

    // exp(x) - 1 without cancellation (Kahan's trick); .NET has no expm1.
    private static double MathExpM1(double x)
    {
        var u = Math.Exp(x);
        return u == 1 ? x : u - 1 == -1 ? -1 : (u - 1) * x / Math.Log(u);
    }
}
