namespace SaeService.Corpora.Parquet;

/// <summary>
/// Thrift's compact protocol (apache/thrift, doc/specs/thrift-compact-protocol.md), as far as Parquet's structures need it: a walk over fields,
/// of which the wanted are read and the others passed over. Lengths are believed only as far as there are bytes.
/// </summary>
internal ref struct ThriftReader(ReadOnlySpan<byte> bytes)
{
    private const int MaxDepth = 32;
    private readonly ReadOnlySpan<byte> bytes = bytes;

    public enum Kind : byte
    {
        Stop = 0,
        True = 1,
        False = 2,
        Byte = 3,
        Int16 = 4,
        Int32 = 5,
        Int64 = 6,
        Double = 7,
        Binary = 8,
        List = 9,
        Set = 10,
        Map = 11,
        Struct = 12,
        Uuid = 13,
    }

    public int Position { get; private set; }

    /// <summary>The next field of a structure; false at its end.</summary>
    /// <param name="id">In: of the field before, 0 at first. Out: of this.</param>
    public bool Next(ref int id, out Kind kind)
    {
        var header = Byte();
        kind = (Kind)(header & 15);
        if (kind == Kind.Stop)
            return false;
        id = header >> 4 is > 0 and var delta ? id + delta : (short)Int();
        return true;
    }

    public byte Byte() => Position < bytes.Length ? bytes[Position++] : throw new FormatException("its metadata end too early");

    /// <summary>A variable-length number, zigzag for signed ones: i16, i32 and i64 alike.</summary>
    public long Int()
    {
        var value = Unsigned();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    public ulong Unsigned()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Byte();
            value |= (ulong)(part & 127) << shift;
            if (part < 128)
                return value;
        }
        throw new FormatException("its metadata hold a number of over 64 bits");
    }

    public ReadOnlySpan<byte> Binary()
    {
        var length = Unsigned();
        if (length > (ulong)(bytes.Length - Position))
            throw new FormatException($"its metadata hold a string of {length} bytes, more than there are");
        Position += (int)length;
        return bytes.Slice(Position - (int)length, (int)length);
    }

    public string Text() => System.Text.Encoding.UTF8.GetString(Binary());

    public int List(out Kind element)
    {
        var header = Byte();
        element = (Kind)(header & 15);
        var count = header >> 4 is < 15 and var few ? (ulong)few : Unsigned();
        // Each element takes a byte or more.
        return count <= (ulong)(bytes.Length - Position) ? (int)count : throw new FormatException($"its metadata hold a list of {count}, more than there are bytes");
    }

    public int ListOf(Kind wanted)
    {
        var count = List(out var element);
        return element == wanted || count == 0 ? count : throw new FormatException($"its metadata hold a list of {element} in place of {wanted}");
    }

    public void Skip(Kind kind, int depth = 0)
    {
        if (depth > MaxDepth)
            throw new FormatException("its metadata are nested too deep");
        switch (kind)
        {
            case Kind.True or Kind.False:
                break;
            case Kind.Byte:
                Byte();
                break;
            case Kind.Int16 or Kind.Int32 or Kind.Int64:
                Unsigned();
                break;
            case Kind.Double or Kind.Uuid:
                for (var i = 0; i < (kind == Kind.Double ? 8 : 16); i++)
                    Byte();
                break;
            case Kind.Binary:
                Binary();
                break;
            case Kind.List or Kind.Set:
                for (var left = List(out var element); left > 0; left--)
                    SkipElement(element, depth);
                break;
            case Kind.Map:
                var pairs = Unsigned();
                var kinds = pairs == 0 ? (byte)0 : Byte();
                for (; pairs > 0; pairs--)
                {
                    SkipElement((Kind)(kinds >> 4), depth);
                    SkipElement((Kind)(kinds & 15), depth);
                }
                break;
            case Kind.Struct:
                var id = 0;
                while (Next(ref id, out var field))
                    Skip(field, depth + 1);
                break;
            default:
                throw new FormatException($"its metadata hold a value of unknown kind {(byte)kind}");
        }
    }

    /// <summary>In a list a truth value takes a byte; as a field it is its kind.</summary>
    private void SkipElement(Kind kind, int depth)
    {
        if (kind is Kind.True or Kind.False)
            Byte();
        else
            Skip(kind, depth + 1);
    }
}
