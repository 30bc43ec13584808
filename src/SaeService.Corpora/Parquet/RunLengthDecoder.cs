namespace SaeService.Corpora.Parquet;

/// <summary>
/// Parquet's hybrid of run lengths and bit-packed groups of eight (parquet-format, Encodings.md, "RLE"), one value after another: a run is
/// never written out, however long it claims to be.
/// </summary>
internal struct RunLengthDecoder
{
    private readonly byte[] bytes;
    private readonly int end, width;
    private int position, bit;
    private long left;
    private uint repeated;
    private bool packed;

    /// <param name="width">Bits of a value; 0 gives zeros.</param>
    public RunLengthDecoder(byte[] bytes, int start, int end, int width)
    {
        if (width is < 0 or > 32)
            throw new FormatException($"values of {width} bits");
        (this.bytes, position, this.end, this.width) = (bytes, start, end, width);
    }

    public int Next()
    {
        if (width == 0)
            return 0;
        if (left == 0)
            Begin();
        left--;
        if (!packed)
            return (int)repeated;
        var value = 0u;
        for (var got = 0; got < width;)
        {
            var take = Math.Min(width - got, 8 - bit);
            value |= (uint)((bytes[position] >> bit) & ((1 << take) - 1)) << got;
            got += take;
            bit += take;
            if (bit == 8)
                (bit, position) = (0, position + 1);
        }
        return (int)value;
    }

    private void Begin()
    {
        (bit, repeated) = (0, 0);
        var header = 0UL;
        for (var shift = 0; ; shift += 7)
        {
            var part = Byte();
            header |= (ulong)(part & 127) << shift;
            if (part < 128)
                break;
            if (shift > 28)
                throw new FormatException("a run's length is no number");
        }
        packed = (header & 1) == 1;
        left = (long)(header >> 1);
        if (left == 0)
            throw new FormatException("a run of no values");
        if (packed)
        {
            // The last group may be cut short where only its first values are meant.
            var available = (end - position) * 8L / width;
            left = Math.Min(left * 8, available);
            if (left == 0)
                throw new FormatException("its values end too early");
        }
        else
            for (var i = 0; i < (width + 7) / 8; i++)
                repeated |= (uint)Byte() << (8 * i);
    }

    private byte Byte() => position < end ? bytes[position++] : throw new FormatException("its values end too early");
}
