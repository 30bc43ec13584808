using System.Globalization;
using System.Text;
using Parquet;
using Parquet.Schema;

namespace SaeService.Api.Results.Exports;

/// <summary>
/// A table of results, as CSV (RFC 4180; numbers in the shortest form that reads back the same) or as Parquet (Zstandard, flat columns, null where nothing was measured).
/// Rows are written as they come: held are those of one row group.
/// </summary>
public sealed class ExportTable<T>(params IReadOnlyList<ExportColumn<T>> columns)
{
    private const int RowsAGroup = 8192;

    public IReadOnlyList<ExportColumn<T>> Columns { get; } = columns;

    public async Task WriteCsvAsync(IAsyncEnumerable<T> rows, Stream target, CancellationToken ct)
    {
        await using var writer = new StreamWriter(target, new UTF8Encoding(false), 1 << 16, leaveOpen: true);
        await writer.WriteAsync(string.Join(',', Columns.Select(c => c.Name)) + "\r\n");
        await foreach (var row in rows.WithCancellation(ct))
            await writer.WriteAsync(string.Join(',', Columns.Select(c => Quoted(c.Text(row)))) + "\r\n");
    }

    /// <param name="target">Written forwards only.</param>
    public async Task WriteParquetAsync(IAsyncEnumerable<T> rows, Stream target, CancellationToken ct)
    {
        var buffers = Columns.Select(c => c.Buffer()).ToArray();
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(buffers.Select(b => b.Field)), new AnswerStream(target),
            new ParquetOptions { CompressionMethod = CompressionMethod.Zstd }, cancellationToken: ct);
        var held = 0;
        await foreach (var row in rows.WithCancellation(ct))
        {
            foreach (var buffer in buffers)
                buffer.Add(row);
            if (++held == RowsAGroup)
                await FlushAsync();
        }
        if (held > 0)
            await FlushAsync();

        async Task FlushAsync()
        {
            using var group = writer.CreateRowGroup();
            foreach (var buffer in buffers)
                await buffer.FlushAsync(group, ct);
            held = 0;
        }
    }

    private static string Quoted(string text) => text.AsSpan().IndexOfAny("\",\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}

/// <param name="kind">As the documentation names it: <c>int32</c>, <c>float64</c>, <c>bool</c> or <c>string</c>.</param>
public abstract class ExportColumn<T>(string name, string kind, string meaning)
{
    public string Name { get; } = name;
    public string Kind { get; } = kind;
    public string Meaning { get; } = meaning;

    /// <summary>Of a row, for CSV; empty where there is none.</summary>
    public abstract string Text(T row);

    /// <summary>For Parquet: one a file.</summary>
    internal abstract ColumnBuffer<T> Buffer();

    public static ExportColumn<T> Of(string name, string meaning, Func<T, int?> value) => new ValueColumn<T, int>(name, "int32", meaning, value);
    public static ExportColumn<T> Of(string name, string meaning, Func<T, double?> value) => new ValueColumn<T, double>(name, "float64", meaning, value);
    public static ExportColumn<T> Of(string name, string meaning, Func<T, bool?> value) => new ValueColumn<T, bool>(name, "bool", meaning, value);
    public static ExportColumn<T> Of(string name, string meaning, Func<T, string?> value) => new TextColumn<T>(name, meaning, value);
}

internal abstract class ColumnBuffer<T>(DataField field)
{
    public DataField Field { get; } = field;
    public abstract void Add(T row);
    public abstract Task FlushAsync(ParquetRowGroupWriter group, CancellationToken ct);
}

internal sealed class ValueColumn<T, TValue>(string name, string kind, string meaning, Func<T, TValue?> value) : ExportColumn<T>(name, kind, meaning)
    where TValue : struct
{
    public override string Text(T row) => value(row) switch
    {
        null => "",
        bool truth => truth ? "true" : "false",
        var number => Convert.ToString(number, CultureInfo.InvariantCulture)!,
    };

    internal override ColumnBuffer<T> Buffer() => new Values(this);

    private sealed class Values(ValueColumn<T, TValue> column) : ColumnBuffer<T>(new DataField(column.Name, typeof(TValue), isNullable: true))
    {
        private readonly List<TValue?> _held = [];
        private readonly Func<T, TValue?> _value = column.Value;

        public override void Add(T row) => _held.Add(_value(row));

        public override async Task FlushAsync(ParquetRowGroupWriter group, CancellationToken ct)
        {
            await group.WriteAsync<TValue>(Field, _held.ToArray().AsMemory(), cancellationToken: ct);
            _held.Clear();
        }
    }

    private Func<T, TValue?> Value => value;
}

internal sealed class TextColumn<T>(string name, string meaning, Func<T, string?> value) : ExportColumn<T>(name, "string", meaning)
{
    public override string Text(T row) => value(row) ?? "";
    internal override ColumnBuffer<T> Buffer() => new Texts(Name, value);

    private sealed class Texts(string name, Func<T, string?> value) : ColumnBuffer<T>(new DataField(name, typeof(string), isNullable: true))
    {
        private readonly List<string?> _held = [];

        public override void Add(T row) => _held.Add(value(row));

        public override async Task FlushAsync(ParquetRowGroupWriter group, CancellationToken ct)
        {
            await group.WriteAsync(Field, _held!, null);
            _held.Clear();
        }
    }
}

/// <summary>An answer, which is written forwards and takes nothing synchronous, for a writer that flushes after every page: the answer flushes itself.</summary>
internal sealed class AnswerStream(Stream target) : Stream
{
    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => target.Write(buffer, offset, count);
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => target.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        target.WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
