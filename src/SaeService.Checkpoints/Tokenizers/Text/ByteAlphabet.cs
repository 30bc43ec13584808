using System.Text;

namespace SaeService.Checkpoints;

/// <summary>
/// GPT-2's printable alphabet for bytes (bytes_to_unicode): printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards in order,
/// so that a space is U+0120.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] s_charOfByte = Build();
    private static readonly Dictionary<char, byte> s_byteOfChar = s_charOfByte.Select((c, b) => (c, b)).ToDictionary(p => p.c, p => (byte)p.b);

    public static char CharOf(byte value) => s_charOfByte[value];

    /// <summary>The bytes that a token of the alphabet stands for; a token with any other character in it (an added token) is its own UTF-8.</summary>
    public static byte[] BytesOf(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
            if (!s_byteOfChar.TryGetValue(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        return bytes;
    }

    /// <summary>Appends units [start, end) in UTF-8, a byte a character; all bytes of a character carry the character's span.</summary>
    public static AlignedText Spell(AlignedText text, int start, int end, AlignedText result)
    {
        var chars = text.Chars;
        Span<byte> utf8 = stackalloc byte[4];
        for (int at = start, units; at < end; at += units)
        {
            var c = (int)chars[at];
            units = 1;
            if (c < 0x80)
            {
                result.Append(s_charOfByte[c], text.Original(at, at + 1));
                continue;
            }
            c = text.CodePoint(at, out units);
            foreach (var value in utf8[..new Rune(c).EncodeToUtf8(utf8)])
                result.Append(s_charOfByte[value], text.Original(at, at + units));
        }
        return result;
    }

    private static char[] Build()
    {
        var chars = new char[256];
        var next = (char)256;
        for (var b = 0; b < 256; b++)
            chars[b] = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)b : next++;
        return chars;
    }
}
