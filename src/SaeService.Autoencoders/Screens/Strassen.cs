using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>
/// Products of blocks of 16-bit integers by seven multiplications of halves instead of eight (Strassen 1969; Winograd's form, in which sums are shared).
/// A tile of rows is A = [A11 A12; A21 A22], upper and lower rows by first and second half of the components, and a panel of latents B = [B11 B12; B21 B22]
/// by those halves and by left and right latents. With
/// <code>
/// S1 = A21 + A22    S2 = S1 - A11     S3 = A11 - A21    S4 = A12 - S2
/// T1 = B12 - B11    T2 = B22 - T1     T3 = B22 - B12    T4 = B21 - T2
/// U2 = A11 B11 + S2 T2                U3 = U2 + S3 T3
/// </code>
/// C11 = A11 B11 + A12 B21, C21 = U3 + A22 T4, C22 = U3 + S1 T1 and C12 = U2 + S1 T1 + S4 B22. In floating point that would cost digits; integers modulo 2^32
/// are a ring, so each sum is the one that eight products give.
/// </summary>
/// <remarks>
/// What starts from a sum starts with it in the registers, so that additions of products cost next to nothing. One product goes over all tiles of a block before
/// the next one does: its half of the panel then stays in the first-level cache, and a factor of the rows is read from end to end.
/// </remarks>
/// <param name="memory">[<see cref="Bytes"/>]</param>
/// <param name="tiles">Of rows.</param>
/// <param name="pairs">Of components in a row, half of which are in each half.</param>
/// <param name="rows">Upper or lower ones of a tile.</param>
/// <param name="latents">Left or right ones of a panel.</param>
internal readonly unsafe ref struct Strassen(byte* memory, int tiles, int pairs, int rows, int latents)
{
    /// <summary>Of a component, so that the sum of four fits 16 bits: S4 and T4 are such sums.</summary>
    public const int Largest = short.MaxValue / 4;

    private const int RowFactors = 7, LatentFactors = 4, Scratch = 2;

    private readonly int _half = pairs / 2;

    /// <summary>Takes the parts of the product as they are ready: of each tile C11, C21, C22 and C12, so that of every row the left latents come first.</summary>
    public interface ISink
    {
        /// <param name="tile">Of the block.</param>
        /// <param name="upper">Whether its upper rows are meant.</param>
        /// <param name="left">Whether the panel's left latents are meant.</param>
        /// <param name="sums">[rows, latents]</param>
        void Take(int tile, bool upper, bool left, int* sums);
    }

    public static long Bytes(int tiles, int pairs, int rows, int latents) =>
        sizeof(int) * (((RowFactors * (long)tiles * rows) + (LatentFactors * latents)) * (pairs / 2) + ((Scratch + (2L * tiles)) * rows * latents));

    // [tiles][pairs of a half][rows]; A21 is only needed until S1 and S3 are made, and lies where S3 will.
    private int* A11 => OfRows(0);
    private int* A12 => OfRows(1);
    private int* A22 => OfRows(2);
    private int* S1 => OfRows(3);
    private int* S2 => OfRows(4);
    private int* S3 => OfRows(5);
    private int* S4 => OfRows(6);

    // [pairs of a half][latents]
    private int* T1 => OfLatents(0);
    private int* T2 => OfLatents(1);
    private int* T3 => OfLatents(2);
    private int* T4 => OfLatents(3);

    // [rows, latents], and of the sums U and V one for each tile
    private int* Zero => OfSums(0);
    private int* Ready => OfSums(1);
    private int* U => OfSums(Scratch);
    private int* V => OfSums(Scratch + tiles);

    private int* OfRows(int factor) => (int*)memory + ((long)factor * tiles * _half * rows);
    private int* OfLatents(int factor) => OfRows(RowFactors) + (factor * _half * latents);
    private int* OfSums(int at) => OfLatents(LatentFactors) + ((long)at * rows * latents);

    /// <summary>Where a row's pairs go, each <c>rows</c> behind the one before: those of its first half and those of its second.</summary>
    public void PlaceRow(int row, out int* first, out int* second)
    {
        var (tile, at) = Math.DivRem(row, 2 * rows);
        var upper = at < rows;
        var offset = ((long)tile * _half * rows) + (upper ? at : at - rows);
        first = (upper ? A11 : S3) + offset;
        second = (upper ? A12 : A22) + offset;
    }

    /// <summary>Where a latent's pairs go in its panel [B11, B12, B21, B22], each <c>latents</c> behind the one before.</summary>
    public static void PlaceLatent(int* panel, int latent, int pairs, int latents, out int* first, out int* second)
    {
        var quarter = pairs / 2 * latents;
        first = panel + (latent < latents ? latent : quarter + latent - latents);
        second = first + (2 * quarter);
    }

    /// <summary>Makes the sums of the rows' quarters, once all rows are placed.</summary>
    public void SumRows()
    {
        for (long i = 0; i < (long)tiles * _half * rows; i += 8)
        {
            Vector256<short> a11 = Load(A11 + i), a12 = Load(A12 + i), a21 = Load(S3 + i), a22 = Load(A22 + i);
            var s1 = a21 + a22;
            var s2 = s1 - a11;
            Store(s1, S1 + i);
            Store(s2, S2 + i);
            Store(a11 - a21, S3 + i);
            Store(a12 - s2, S4 + i);
        }
    }

    /// <summary>Products of all tiles with a panel. Their factors' components are at most <see cref="Largest"/>.</summary>
    /// <param name="panel">[B11, B12, B21, B22], each [pairs of a half][latents].</param>
    /// <param name="multiply">(x, w, pairs, start, tile), see <see cref="Int16Tile"/>.</param>
    /// <param name="sink">Where to.</param>
    public void Multiply<TSink>(int* panel, delegate*<int*, int*, int, int*, int*, void> multiply, ref TSink sink) where TSink : struct, ISink, allows ref struct
    {
        int quarter = _half * latents, size = rows * latents;
        int* b11 = panel, b12 = b11 + quarter, b21 = b12 + quarter, b22 = b21 + quarter, u = U, v = V;
        SumLatents(b11, b12, b21, b22, quarter);
        new Span<int>(Zero, size).Clear();
        AddProducts(A11, b11, Zero, 0, u, multiply);
        TakeProducts(A12, b21, u, multiply, upper: true, left: true, ref sink);
        AddProducts(S2, T2, u, size, u, multiply);
        AddProducts(S3, T3, u, size, v, multiply);
        TakeProducts(A22, T4, v, multiply, upper: false, left: true, ref sink);
        TakeProducts(S1, T1, v, multiply, upper: false, left: false, ref sink, u);
        TakeProducts(S4, b22, u, multiply, upper: true, left: false, ref sink);
    }

    /// <summary>sums of each tile = start of it + x w</summary>
    /// <param name="next">From one tile's start to the next one's.</param>
    private void AddProducts(int* x, int* w, int* start, int next, int* sums, delegate*<int*, int*, int, int*, int*, void> multiply)
    {
        for (var t = 0; t < tiles; t++, x += _half * rows, start += next, sums += rows * latents)
            multiply(x, w, _half, start, sums);
    }

    /// <summary>start of each tile + x w to the sink, and x w alone to <paramref name="too"/> where another sum needs it.</summary>
    private void TakeProducts<TSink>(int* x, int* w, int* start, delegate*<int*, int*, int, int*, int*, void> multiply, bool upper, bool left, ref TSink sink, int* too = null)
        where TSink : struct, ISink, allows ref struct
    {
        var ready = Ready;
        var size = rows * latents;
        for (var t = 0; t < tiles; t++, x += _half * rows, start += size)
        {
            multiply(x, w, _half, start, ready);
            sink.Take(t, upper, left, ready);
            if (too == null)
                continue;
            for (var i = 0; i < size; i += 8, too += 8)
                (Vector256.Load(too) + (Vector256.Load(ready + i) - Vector256.Load(start + i))).Store(too);
        }
    }

    private void SumLatents(int* b11, int* b12, int* b21, int* b22, int quarter)
    {
        int* t1 = T1, t2 = T2, t3 = T3, t4 = T4;
        for (var i = 0; i < quarter; i += 8)
        {
            var right = Load(b12 + i);
            var first = right - Load(b11 + i);
            var second = Load(b22 + i) - first;
            Store(first, t1 + i);
            Store(second, t2 + i);
            Store(Load(b22 + i) - right, t3 + i);
            Store(Load(b21 + i) - second, t4 + i);
        }
    }

    private static Vector256<short> Load(int* pairs) => Vector256.Load(pairs).AsInt16();

    private static void Store(Vector256<short> pairs, int* to) => pairs.AsInt32().Store(to);
}
