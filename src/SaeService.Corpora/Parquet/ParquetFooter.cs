namespace SaeService.Corpora.Parquet;

internal enum PhysicalType
{
    Boolean = 0,
    Int32 = 1,
    Int64 = 2,
    Int96 = 3,
    Float = 4,
    Double = 5,
    ByteArray = 6,
    FixedLengthByteArray = 7,
}

/// <summary>A column that holds values.</summary>
/// <param name="Column">The top-level field it belongs to.</param>
/// <param name="MaxDefinition">Level of a value that is there.</param>
/// <param name="ListDefinition">Level from which the list has an element; 0 where there is no list.</param>
internal sealed record ParquetLeaf(string Column, PhysicalType Type, int MaxRepetition, int MaxDefinition, int ListDefinition)
{
    /// <summary>Whether that field has no other.</summary>
    public bool Alone { get; set; } = true;
}

/// <param name="Codec">Of its pages: 0 none, 1 Snappy, 2 gzip, 4 Brotli, 6 Zstandard.</param>
/// <param name="Start">Of its first page, the dictionary's if it has one, bytes from the start of the file.</param>
internal sealed record ParquetChunk(int Codec, long Values, long Start, long Bytes);

/// <param name="Chunks">One a leaf, in the order of the leaves.</param>
internal sealed record ParquetRowGroup(long Rows, ParquetChunk[] Chunks);

/// <summary>
/// What the end of a Parquet file says of it (apache/parquet-format, parquet.thrift: FileMetaData). Every count and place in it is held against
/// the size of the file before it is used.
/// </summary>
internal sealed class ParquetFooter
{
    private const int MaxFooterBytes = 64 << 20, MaxDepth = 16, MaxLeaves = 10_000;

    public List<ParquetLeaf> Leaves { get; } = [];
    public List<ParquetRowGroup> RowGroups { get; } = [];
    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);
    public long Rows { get; private set; }

    /// <exception cref="FormatException">What is wrong, without the file's name.</exception>
    public static ParquetFooter Read(FileStream file)
    {
        Span<byte> tail = stackalloc byte[8];
        if (file.Length < 12)
            throw new FormatException("it is too short for a Parquet file, or cut off");
        file.ReadExactly(tail[..4]);
        var begins = tail[..4].SequenceEqual("PAR1"u8);
        file.Position = file.Length - 8;
        file.ReadExactly(tail);
        if (tail[4..].SequenceEqual("PARE"u8))
            throw new FormatException("it is encrypted");
        if (!begins || !tail[4..].SequenceEqual("PAR1"u8))
            throw new FormatException(begins ? "it does not end with 'PAR1': cut off, or still being written" : "it does not begin with 'PAR1'");
        var length = BitConverter.ToUInt32(tail);
        if (length > file.Length - 12 || length > MaxFooterBytes)
            throw new FormatException($"its footer claims {length} bytes");
        var bytes = new byte[length];
        file.Position = file.Length - 8 - length;
        file.ReadExactly(bytes);
        var footer = new ParquetFooter();
        footer.Parse(bytes);
        footer.Check(file.Length - 8 - length);
        return footer;
    }

    private void Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new ThriftReader(bytes);
        var schema = new List<(string Name, int? Type, int Repetition, int Children)>();
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (2, ThriftReader.Kind.List):
                    for (var left = reader.ListOf(ThriftReader.Kind.Struct); left > 0; left--)
                        schema.Add(SchemaElement(ref reader));
                    break;
                case (3, ThriftReader.Kind.Int64):
                    Rows = reader.Int();
                    break;
                case (4, ThriftReader.Kind.List):
                    for (var left = reader.ListOf(ThriftReader.Kind.Struct); left > 0; left--)
                        RowGroups.Add(RowGroup(ref reader));
                    break;
                case (5, ThriftReader.Kind.List):
                    for (var left = reader.ListOf(ThriftReader.Kind.Struct); left > 0; left--)
                        KeyValue(ref reader);
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        if (schema.Count == 0)
            throw new FormatException("its footer has no schema");
        var next = 1;
        for (var child = 0; child < schema[0].Children; child++)
            AddLeaves(schema, ref next, null, 0, 0, 0, 1);
        if (next != schema.Count)
            throw new FormatException("its schema has columns outside its tree");
    }

    private static (string Name, int? Type, int Repetition, int Children) SchemaElement(ref ThriftReader reader)
    {
        var (name, type, repetition, children) = ("", (int?)null, 0, 0);
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (1, ThriftReader.Kind.Int32):
                    type = (int)reader.Int();
                    break;
                case (3, ThriftReader.Kind.Int32):
                    repetition = (int)reader.Int();
                    break;
                case (4, ThriftReader.Kind.Binary):
                    name = reader.Text();
                    break;
                case (5, ThriftReader.Kind.Int32):
                    children = (int)reader.Int();
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        return (name, type, repetition, children);
    }

    /// <summary>The tree stands in the list depth first; a group says how many children follow.</summary>
    private void AddLeaves(List<(string Name, int? Type, int Repetition, int Children)> schema, ref int next, string? column, int repetition, int definition, int list, int depth)
    {
        if (next >= schema.Count || depth > MaxDepth || Leaves.Count == MaxLeaves)
            throw new FormatException(next >= schema.Count ? "its schema ends too early" : "its schema is too deep or too wide");
        var (name, type, repeats, children) = schema[next++];
        if (repeats is < 0 or > 2 || type is < 0 or > 7)
            throw new FormatException($"column {CorpusException.Quote(name)} is of an unknown type");
        definition += repeats > 0 ? 1 : 0; // optional and repeated
        if (repeats == 2)
            (repetition, list) = (repetition + 1, definition);
        if (type is { } physical && children <= 0)
        {
            var leaf = new ParquetLeaf(column ?? name, (PhysicalType)physical, repetition, definition, list);
            foreach (var sibling in Leaves.Where(l => l.Column == leaf.Column))
                sibling.Alone = leaf.Alone = false;
            Leaves.Add(leaf);
        }
        for (; children > 0; children--)
            AddLeaves(schema, ref next, column ?? name, repetition, definition, list, depth + 1);
    }

    private static ParquetRowGroup RowGroup(ref ThriftReader reader)
    {
        var (rows, chunks) = (-1L, new List<ParquetChunk>());
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (1, ThriftReader.Kind.List):
                    for (var left = reader.ListOf(ThriftReader.Kind.Struct); left > 0; left--)
                        chunks.Add(Chunk(ref reader));
                    break;
                case (3, ThriftReader.Kind.Int64):
                    rows = reader.Int();
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        return new(rows, [.. chunks]);
    }

    private static ParquetChunk Chunk(ref ThriftReader reader)
    {
        ParquetChunk? chunk = null;
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (1, ThriftReader.Kind.Binary):
                    throw new FormatException("its columns are in other files");
                case (3, ThriftReader.Kind.Struct):
                    chunk = ColumnMetadata(ref reader);
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        return chunk ?? throw new FormatException("a column has no metadata");
    }

    private static ParquetChunk ColumnMetadata(ref ThriftReader reader)
    {
        var (codec, values, bytes, data, dictionary) = (-1, -1L, -1L, -1L, 0L);
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (4, ThriftReader.Kind.Int32):
                    codec = (int)reader.Int();
                    break;
                case (5, ThriftReader.Kind.Int64):
                    values = reader.Int();
                    break;
                case (7, ThriftReader.Kind.Int64):
                    bytes = reader.Int();
                    break;
                case (9, ThriftReader.Kind.Int64):
                    data = reader.Int();
                    break;
                case (11, ThriftReader.Kind.Int64):
                    dictionary = reader.Int();
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        // Some writers give the dictionary the offset 0 where there is none.
        return new(codec, values, dictionary > 0 && dictionary < data ? dictionary : data, bytes);
    }

    private void KeyValue(ref ThriftReader reader)
    {
        var (key, value) = ("", "");
        for (var id = 0; reader.Next(ref id, out var kind);)
            switch (id, kind)
            {
                case (1, ThriftReader.Kind.Binary):
                    key = reader.Text();
                    break;
                case (2, ThriftReader.Kind.Binary):
                    value = reader.Text();
                    break;
                default:
                    reader.Skip(kind);
                    break;
            }
        Metadata[key] = value;
    }

    /// <param name="end">Where the footer begins, and the data have to end.</param>
    private void Check(long end)
    {
        var rows = 0L;
        foreach (var group in RowGroups)
        {
            if (group.Rows < 0 || group.Rows > Rows - rows)
                throw new FormatException($"its row groups have more rows than the {Rows} of the file");
            rows += group.Rows;
            if (group.Chunks.Length != Leaves.Count)
                throw new FormatException($"a row group has {group.Chunks.Length} columns, the schema {Leaves.Count}");
            foreach (var (chunk, leaf) in group.Chunks.Zip(Leaves))
                if (chunk.Start < 4 || chunk.Bytes < 0 || chunk.Bytes > end - chunk.Start || chunk.Values < 0 || (leaf.MaxRepetition == 0 && chunk.Values != group.Rows))
                    throw new FormatException($"column {CorpusException.Quote(leaf.Column)} claims {chunk.Values} values in {chunk.Bytes} bytes from {chunk.Start}, "
                        + $"which {group.Rows} rows in a file of {end} bytes can not have");
        }
        if (rows != Rows)
            throw new FormatException($"its row groups have {rows} rows, and the file claims {Rows}");
    }
}
