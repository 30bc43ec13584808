using System.Text;

namespace SaeService.Checkpoints;

/// <summary>
/// GPT-2's printable alphabet for bytes (bytes_to_unicode): printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards in order,
/// so that a space is U+0120.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] CharOfByte = Build();
    private static readonly Dictionary<char, byte> ByteOfChar = CharOfByte.Select((c, b) => (c, b)).ToDictionary(p => p.c, p => (byte)p.b);

    public static char CharOf(byte value) => CharOfByte[value];

    /// <summary>The bytes that a token of the alphabet stands for; a token with any other character in it (an added token) is its own UTF-8.</summary>
    public static byte[] BytesOf(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
            if (!ByteOfChar.TryGetValue(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        return bytes;
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
