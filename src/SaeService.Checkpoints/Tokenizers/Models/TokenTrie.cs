namespace SaeService.Checkpoints;

/// <summary>Strings with a value each, to find those that a text begins with. Nodes are rows of an array, the children of one in a row of their own, by unit.</summary>
internal sealed class TokenTrie
{
    private readonly List<Node> _nodes = [new(default, 0, 0, -1)];
    private readonly Dictionary<char, int> _roots = [];

    /// <summary>Of strings given twice the last one counts; the empty string is never found.</summary>
    public TokenTrie(IEnumerable<(string Text, int Value)> strings)
    {
        var values = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (text, value) in strings)
            values[text] = value;
        string[] sorted = [.. values.Keys];
        Array.Sort(sorted, StringComparer.Ordinal);
        // Breadth first: each entry is a node and the range of sorted strings that pass through it.
        var open = new Queue<(int Node, int From, int To, int Depth)>();
        open.Enqueue((0, 0, sorted.Length, 0));
        while (open.TryDequeue(out var entry))
        {
            var (node, from, to, depth) = entry;
            if (from < to && sorted[from].Length == depth)
                _nodes[node] = _nodes[node] with { Value = values[sorted[from++]] };
            var first = _nodes.Count;
            while (from < to)
            {
                var unit = sorted[from][depth];
                var end = from + 1;
                while (end < to && sorted[end][depth] == unit)
                    end++;
                open.Enqueue((_nodes.Count, from, end, depth + 1));
                _nodes.Add(new(unit, 0, 0, -1));
                from = end;
            }
            _nodes[node] = _nodes[node] with { FirstChild = first, Children = _nodes.Count - first };
        }
        for (var i = 0; i < _nodes[0].Children; i++)
            _roots[_nodes[_nodes[0].FirstChild + i].Unit] = _nodes[0].FirstChild + i;
    }

    private record struct Node(char Unit, int FirstChild, int Children, int Value);

    /// <summary>The first units of the strings.</summary>
    public IEnumerable<char> Firsts => _roots.Keys;

    /// <summary>The node after one more unit; -1 where no string goes on so. The search begins at node 0.</summary>
    public int Next(int node, char unit)
    {
        if (node == 0)
            return _roots.GetValueOrDefault(unit, -1);
        int low = _nodes[node].FirstChild, high = low + _nodes[node].Children - 1;
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            var own = _nodes[middle].Unit;
            if (own == unit)
                return middle;
            if (own < unit)
                low = middle + 1;
            else
                high = middle - 1;
        }
        return -1;
    }

    /// <summary>The value of the string that ends at a node; -1 where none does.</summary>
    public int ValueAt(int node) => _nodes[node].Value;

    /// <summary>The longest string that the text begins with; of length 0 where there is none.</summary>
    public (int Length, int Value) Longest(ReadOnlySpan<char> text)
    {
        var best = (Length: 0, Value: -1);
        var node = 0;
        for (var i = 0; i < text.Length && (node = Next(node, text[i])) >= 0; i++)
            if (_nodes[node].Value >= 0)
                best = (i + 1, _nodes[node].Value);
        return best;
    }
}
