namespace SaeService.Checkpoints;

/// <summary>
/// The merges of a BPE model, and the merging itself: always the pair of lowest rank, leftmost first, by a heap over a linked list, in
/// O(n log n) for n symbols.
/// </summary>
internal sealed class MergeTable
{
    private readonly Dictionary<ulong, int> _rankOf = [];
    private readonly List<(int Left, int Right, int Merged)> _byRank = [];

    public int Count => _byRank.Count;

    /// <summary>Adds the next merge; a pair given twice keeps its last rank, as in the reference implementation.</summary>
    public void Add(int left, int right, int merged)
    {
        _rankOf[Key(left, right)] = _byRank.Count;
        _byRank.Add((left, right, merged));
    }

    /// <summary>Whether one of these tokens is a part of a merge, or what one makes.</summary>
    public bool Any(HashSet<int> ids) => ids.Count > 0 && _byRank.Exists(m => ids.Contains(m.Left) || ids.Contains(m.Right) || ids.Contains(m.Merged));

    /// <summary>Merges the symbols in place and returns how many are left. A merged symbol spans from its first part's start to its last part's end.</summary>
    public int Merge(Span<Symbol> symbols)
    {
        var heap = new Heap(symbols.Length);
        for (var i = 0; i < symbols.Length; i++)
        {
            symbols[i].Previous = i - 1;
            symbols[i].Next = i + 1 < symbols.Length ? i + 1 : -1;
            Offer(ref heap, symbols, i);
        }
        while (heap.TryPop(out var rank, out var at))
        {
            // An entry is stale when either of its symbols was merged away or grew since.
            var next = symbols[at].Next;
            if (symbols[at].Id < 0 || next < 0 || (symbols[at].Id, symbols[next].Id) != (_byRank[rank].Left, _byRank[rank].Right))
                continue;
            ref var left = ref symbols[at];
            left.Id = _byRank[rank].Merged;
            left.End = symbols[next].End;
            left.Bytes += symbols[next].Bytes;
            left.Next = symbols[next].Next;
            symbols[next].Id = -1;
            if (left.Next >= 0)
                symbols[left.Next].Previous = at;
            Offer(ref heap, symbols, at);
            if (left.Previous >= 0)
                Offer(ref heap, symbols, left.Previous);
        }
        var count = 0;
        foreach (var symbol in symbols)
            if (symbol.Id >= 0)
                symbols[count++] = symbol;
        return count;
    }

    private void Offer(ref Heap heap, ReadOnlySpan<Symbol> symbols, int at)
    {
        var next = symbols[at].Next;
        if (next >= 0 && _rankOf.TryGetValue(Key(symbols[at].Id, symbols[next].Id), out var rank))
            heap.Push(rank, at);
    }

    private static ulong Key(int left, int right) => (ulong)(uint)left << 32 | (uint)right;

    /// <summary>
    /// A symbol of the text: a token id over units [Start, End) that are Bytes long in UTF-8, linked to its neighbours. Id is -1 once merged into the one before.
    /// </summary>
    public struct Symbol(int id, int start, int end)
    {
        public int Id = id, Start = start, End = end, Bytes, Previous, Next;
    }

    /// <summary>A binary min-heap of (rank, position), packed so that one comparison orders both.</summary>
    private struct Heap(int capacity)
    {
        private long[] _items = new long[capacity + 4];
        private int _count;

        public void Push(int rank, int at)
        {
            if (_count == _items.Length)
                Array.Resize(ref _items, _count * 2);
            var item = (long)rank << 32 | (uint)at;
            var hole = _count++;
            for (int parent; hole > 0 && _items[parent = (hole - 1) / 2] > item; hole = parent)
                _items[hole] = _items[parent];
            _items[hole] = item;
        }

        public bool TryPop(out int rank, out int at)
        {
            if (_count == 0)
            {
                rank = at = -1;
                return false;
            }
            (rank, at) = ((int)(_items[0] >> 32), (int)_items[0]);
            var item = _items[--_count];
            var hole = 0;
            for (int child; (child = 2 * hole + 1) < _count; hole = child)
            {
                if (child + 1 < _count && _items[child + 1] < _items[child])
                    child++;
                if (_items[child] >= item)
                    break;
                _items[hole] = _items[child];
            }
            _items[hole] = item;
            return true;
        }
    }
}
