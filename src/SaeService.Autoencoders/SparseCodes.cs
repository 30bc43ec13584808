using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SaeService.Checkpoints;
using SaeService.Columns;

namespace SaeService.Autoencoders;

/// <summary>
/// Non-negative sparse activations of <see cref="Rows"/> inputs over <see cref="Width"/> features, in compressed sparse rows: row i has
/// <c>Index[Start[i]..Start[i+1]]</c>, ascending, with <c>Value</c> beside it, all above 0.
/// </summary>
public sealed class SparseCodes(int width, Column<long> start, Column<int> index, Column<float> value)
{
    public int Width { get; } = width;
    public Column<long> Start { get; } = start;    // [Rows + 1]
    public Column<int> Index { get; } = index;     // [nnz]
    public Column<float> Value { get; } = value;   // [nnz]

    /// <summary>Of an autoencoder that normalises every input: how its rows decode into the units of the activations. Not saved, nor joined.</summary>
    public RowScales? Scales { get; init; }

    public int Rows => Start.Length - 1;
    public long NonZeros => Start[^1];

    public ReadOnlySpan<int> RowIndex(int row) => Index.Span.Slice((int)Start[row], (int)(Start[row + 1] - Start[row]));
    public ReadOnlySpan<float> RowValue(int row) => Value.Span.Slice((int)Start[row], (int)(Start[row + 1] - Start[row]));

    /// <summary>Writes safetensors: <c>start</c> I64 [rows + 1], <c>index</c> I32 [nnz], <c>value</c> F32 [nnz], and the width as metadata.</summary>
    public void Save(string path)
    {
        var n = (int)NonZeros;
        SafetensorsWriter.Write(path,
            [
                new("start", DType.I64, [Start.Length], Start.WriteTo),
                new("index", DType.I32, [n], Index.First(n).WriteTo),
                new("value", DType.F32, [n], Value.First(n).WriteTo),
            ],
            new Dictionary<string, string> { ["format"] = "saeservice.codes.1", ["width"] = Width.ToString(CultureInfo.InvariantCulture) });
    }

    /// <exception cref="InvalidDataException">The file is not what <see cref="Save"/> writes; the message names what is wrong and where.</exception>
    /// <param name="scratch">Where they lie; default: in memory.</param>
    public static SparseCodes Load(string path, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        using var file = SafetensorsFile.Open(path);
        if (!int.TryParse(file.Metadata.GetValueOrDefault("width"), NumberStyles.None, CultureInfo.InvariantCulture, out var width))
            throw new InvalidDataException($"{path} has no width in its metadata: no sparse codes");
        var codes = new SparseCodes(width, Read<long>(file, "start", DType.I64, scratch), Read<int>(file, "index", DType.I32, scratch),
            Read<float>(file, "value", DType.F32, scratch));
        codes.Check(path);
        return codes;
    }

    private void Check(string path)
    {
        if (Start.Length == 0 || Start[0] != 0 || Start[^1] != Index.Length || Index.Length != Value.Length)
            throw new InvalidDataException($"{path}: {Index.Length} indices and {Value.Length} values do not agree with the row starts");
        for (var row = 0; row < Rows; row++)
        {
            // Starts are checked before they are used: they come from the file.
            if (Start[row + 1] < Start[row] || Start[row + 1] > Index.Length)
                throw new InvalidDataException($"{path}: row {row} ends at {Start[row + 1]}, before its start or after the last value");
            var before = -1;
            for (var i = Start[row]; i < Start[row + 1]; i++)
            {
                if (Index[i] <= before || Index[i] >= Width)
                    throw new InvalidDataException($"{path}: row {row} has feature {Index[i]} after {before}, of {Width}");
                if (!(Value[i] > 0) || !float.IsFinite(Value[i]))
                    throw new InvalidDataException($"{path}: row {row} has the value {Value[i]} at feature {Index[i]}");
                before = Index[i];
            }
        }
    }

    private static Column<T> Read<T>(SafetensorsFile file, string name, DType dtype, ScratchSpace scratch) where T : unmanaged
    {
        if (!file.Tensors.TryGetValue(name, out var entry) || entry.DType != dtype || entry.Shape.Length != 1)
            throw new InvalidDataException($"{file.Path}: tensor '{name}' is {(entry is null ? "absent" : entry.DType + entry.ShapeText)},"
                + $" expected {dtype} of one dimension");
        var column = scratch.New<T>(checked((int)entry.Shape[0]));
        // In pieces: the bytes of a long column do not fit a span.
        const int Piece = 1 << 20;
        for (var from = 0; from < column.Length; from += Piece)
        {
            var some = column.Span.Slice(from, Math.Min(Piece, column.Length - from));
            file.Bytes(name, (long)from * Unsafe.SizeOf<T>(), some.Length * Unsafe.SizeOf<T>()).CopyTo(MemoryMarshal.AsBytes(some));
        }
        return column;
    }
}

/// <summary>Appends rows to <see cref="SparseCodes"/> that are not known at once.</summary>
/// <param name="scratch">Where they lie; default: in memory.</param>
public sealed class SparseCodesBuilder(int width, ScratchSpace? scratch = null)
{
    private readonly ColumnList<long> start = new(scratch ?? ScratchSpace.Heap) { 0 };
    private readonly ColumnList<int> index = new(scratch ?? ScratchSpace.Heap);
    private readonly ColumnList<float> value = new(scratch ?? ScratchSpace.Heap);

    public int Rows => start.Count - 1;

    /// <param name="indices">Ascending, below the width.</param>
    /// <param name="values">Above 0.</param>
    public void Add(ReadOnlySpan<int> indices, ReadOnlySpan<float> values)
    {
        if (indices.Length != values.Length)
            throw new ArgumentException($"{indices.Length} indices with {values.Length} values", nameof(values));
        index.AddRange(indices);
        value.AddRange(values);
        start.Add(index.Count);
    }

    public void Add(SparseCodes rows)
    {
        if (rows.Width != width)
            throw new ArgumentException($"codes of width {rows.Width} added to codes of width {width}", nameof(rows));
        for (var i = 0; i < rows.Rows; i++)
            Add(rows.RowIndex(i), rows.RowValue(i));
    }

    public SparseCodes Build(RowScales? scales = null) => new(width, start.Complete(), index.Complete(), value.Complete()) { Scales = scales };
}
