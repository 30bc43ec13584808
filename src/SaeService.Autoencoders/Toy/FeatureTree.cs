namespace SaeService.Autoencoders.Toy;

/// <summary>
/// A forest over features 0, 1, 2, …, numbered breadth first, so that the children of a feature are neighbours and a frequent feature lies high in its tree. It
/// ends where the features do; those that are left over belong to no tree.
/// </summary>
internal sealed class FeatureTree
{
    private readonly int[] parent, firstChild, children;   // [G]

    public FeatureTree(int features, int roots, int branching, int depth)
    {
        (parent, firstChild, children) = (new int[features], new int[features], new int[features]);
        Array.Fill(parent, -1);
        var level = new int[features];
        Roots = Math.Min(roots, features);
        Size = Roots;
        for (var f = 0; f < Size; f++)
        {
            if (level[f] == depth)
                continue;
            (firstChild[f], children[f]) = (Size, Math.Min(branching, features - Size));
            for (var c = Size; c < Size + children[f]; c++)
                (parent[c], level[c]) = (f, level[f] + 1);
            Size += children[f];
        }
    }

    public int Roots { get; }

    /// <summary>Features that are in a tree: 0 to Size - 1.</summary>
    public int Size { get; }

    public int? Parent(int feature) => parent[feature] < 0 ? null : parent[feature];
    public (int First, int Count) Children(int feature) => (firstChild[feature], children[feature]);

    /// <summary>
    /// What a feature has to fire with, before its tree is heard, so that afterwards it fires about as often as in <paramref name="p"/>: p / p_parent, since it
    /// can only where its parent does, times 1 + (sum of its siblings' p) / p_parent, since one of those that fire is let through.
    /// </summary>
    public double[] Compensated(double[] p)
    {
        var q = (double[])p.Clone();
        for (var f = 0; f < Size; f++)
        {
            var (first, count) = Children(f);
            var total = p.AsSpan(first, count).ToArray().Sum();
            for (var c = first; c < first + count; c++)
                q[c] = Math.Min(1, p[c] / p[f] * (count > 1 ? 1 + (total - p[c]) / p[f] : 1));
        }
        return q;
    }
}
