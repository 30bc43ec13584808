namespace SaeService.Autoencoders.Toy;

/// <summary>
/// Each latent as a detector of its nearest true feature, counted over rows (SynthSAEBench's classification metrics). Averages are over all latents; one that
/// never fires has a precision, recall and F1 of 0.
/// </summary>
/// <param name="features">Number of true features.</param>
/// <param name="nearest">[n]: the true feature of each latent.</param>
public sealed class FiringAgreement(int features, IReadOnlyList<int> nearest)
{
    private readonly long[] fired = new long[nearest.Count], both = new long[nearest.Count];   // [n]
    private readonly long[] present = new long[features];                                      // [G]
    private readonly bool[] now = new bool[features];                                          // [G]

    public double Precision => Mean(l => Ratio(both[l], fired[l]));
    public double Recall => Mean(l => Ratio(both[l], present[nearest[l]]));
    public double F1 => Mean(l => Ratio(2 * both[l], fired[l] + present[nearest[l]]));

    /// <param name="truth">[rows, G]</param>
    /// <param name="learned">[rows, n]</param>
    public void Add(SparseCodes truth, SparseCodes learned)
    {
        if (truth.Width != present.Length || learned.Width != fired.Length || truth.Rows != learned.Rows)
            throw new ArgumentException($"codes [{truth.Rows}, {truth.Width}] and [{learned.Rows}, {learned.Width}]"
                + $" are not of the same rows, of {present.Length} features and {fired.Length} latents", nameof(learned));
        for (var i = 0; i < truth.Rows; i++)
        {
            foreach (var f in truth.RowIndex(i))
            {
                present[f]++;
                now[f] = true;
            }
            foreach (var l in learned.RowIndex(i))
            {
                fired[l]++;
                if (now[nearest[l]])
                    both[l]++;
            }
            foreach (var f in truth.RowIndex(i))
                now[f] = false;
        }
    }

    private double Mean(Func<int, double> latent) => Enumerable.Range(0, fired.Length).Average(latent);

    private static double Ratio(long part, long whole) => whole == 0 ? 0 : (double)part / whole;
}
