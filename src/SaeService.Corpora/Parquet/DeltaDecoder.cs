namespace SaeService.Corpora.Parquet;

/// <summary>
/// Parquet's delta encodings (parquet-format, Encodings.md): DELTA_BINARY_PACKED whole numbers one after another, and the two encodings of
/// strings that are made of them.
/// </summary>
internal sealed class DeltaDecoder
{
    private readonly byte[] bytes;
    private readonly int end, miniblocks, perMiniblock;
    private readonly long count;
    private byte[] widths = [];
    private int position, miniblock, inMiniblock, bit;
    private long given, value, minimum;

    public DeltaDecoder(byte[] bytes, int start, int end, int expected)
    {
        (this.bytes, position, this.end) = (bytes, start, end);
        var block = Unsigned();
        var parts = Unsigned();
        count = (long)Unsigned();
        value = Signed();
        if (block is 0 or > 1 << 20 || parts is 0 or > 1 << 12 || block % parts != 0 || block / parts % 8 != 0 || count < 0 || count > expected)
            throw new FormatException($"{count} differences in blocks of {block} and {parts} parts");
        (miniblocks, perMiniblock) = ((int)parts, (int)(block / parts));
        miniblock = miniblocks; // the first block has not begun
    }

    /// <summary>Behind what has been read; after the last value, where what follows begins.</summary>
    public int End
    {
        get
        {
            // The last miniblock is padded to its whole length.
            while (given < count)
                Next();
            return miniblock < miniblocks && inMiniblock > 0
                ? Math.Min(end, position + (((perMiniblock - inMiniblock) * widths[miniblock]) + bit + 7) / 8)
                : position;
        }
    }

    public long Next()
    {
        if (given == count)
            throw new FormatException("its differences end too early");
        if (given++ == 0)
            return value;
        if (inMiniblock == 0)
            Begin();
        value += minimum + (long)Bits(widths[miniblock]);
        if (++inMiniblock == perMiniblock)
            (inMiniblock, miniblock) = (0, miniblock + 1);
        return value;
    }

    /// <summary>DELTA_LENGTH_BYTE_ARRAY: all lengths, then all strings.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Strings(byte[] bytes, int start, int end, int expected)
    {
        var lengths = new DeltaDecoder(bytes, start, end, expected);
        var at = new DeltaDecoder(bytes, start, end, expected).End;
        for (var i = 0L; i < lengths.count; i++)
        {
            var length = lengths.Next();
            if (length < 0 || length > end - at)
                throw new FormatException("its strings end too early");
            yield return bytes.AsMemory(at, (int)length);
            at += (int)length;
        }
    }

    /// <summary>DELTA_BYTE_ARRAY: how much each has of the one before, and what follows that.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> PrefixedStrings(byte[] bytes, int start, int end, int expected)
    {
        var prefixes = new DeltaDecoder(bytes, start, end, expected);
        var before = Array.Empty<byte>();
        foreach (var suffix in Strings(bytes, new DeltaDecoder(bytes, start, end, expected).End, end, expected))
        {
            var prefix = prefixes.Next();
            if (prefix < 0 || prefix > before.Length || prefix + suffix.Length > Page.MaxBytes)
                throw new FormatException("a string begins like more of the one before than there is");
            var whole = new byte[prefix + suffix.Length];
            before.AsSpan(0, (int)prefix).CopyTo(whole);
            suffix.CopyTo(whole.AsMemory((int)prefix));
            yield return before = whole;
        }
    }

    private void Begin()
    {
        if (miniblock < miniblocks)
            return;
        minimum = Signed();
        if (end - position < miniblocks)
            throw new FormatException("its differences end too early");
        widths = bytes[position..(position + miniblocks)];
        if (Array.Exists(widths, w => w > 64))
            throw new FormatException("a difference of over 64 bits");
        position += miniblocks;
        miniblock = 0;
    }

    private ulong Bits(int width)
    {
        var bits = 0UL;
        for (var got = 0; got < width;)
        {
            if (position >= end)
                throw new FormatException("its differences end too early");
            var take = Math.Min(width - got, 8 - bit);
            bits |= (ulong)((bytes[position] >> bit) & ((1 << take) - 1)) << got;
            got += take;
            bit += take;
            if (bit == 8)
                (bit, position) = (0, position + 1);
        }
        return bits;
    }

    private long Signed() => Unsigned() is var zigzag ? (long)(zigzag >> 1) ^ -(long)(zigzag & 1) : 0;

    private ulong Unsigned()
    {
        var number = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = position < end ? bytes[position++] : throw new FormatException("its differences end too early");
            number |= (ulong)(part & 127) << shift;
            if (part < 128)
                return number;
        }
        throw new FormatException("a number of over 64 bits");
    }
}
