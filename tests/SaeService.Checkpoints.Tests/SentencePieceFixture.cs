using System.Text;

namespace SaeService.Checkpoints.Tests;

/// <summary>Writes small SentencePiece models (sentencepiece_model.proto).</summary>
internal static class SentencePieceFixture
{
    /// <param name="modelType">1 is Unigram, 2 BPE.</param>
    /// <param name="pieces">Text, score and type: 1 normal, 2 unknown, 3 control, 4 user defined, 6 byte.</param>
    public static byte[] Of(int modelType, (string Text, float Score, int Type)[] pieces, bool dummyPrefix = true, bool removeExtraSpaces = false)
    {
        using var model = new MemoryStream();
        foreach (var (text, score, type) in pieces)
        {
            using var piece = new MemoryStream();
            Field(piece, 1, Encoding.UTF8.GetBytes(text));
            piece.WriteByte(2 << 3 | 5);
            piece.Write(BitConverter.GetBytes(score));
            Number(piece, 3, type);
            Field(model, 1, piece.ToArray());
        }
        using var trainer = new MemoryStream();
        Number(trainer, 3, modelType);
        Field(model, 2, trainer.ToArray());
        using var normalizer = new MemoryStream();
        Number(normalizer, 3, dummyPrefix ? 1 : 0);
        Number(normalizer, 4, removeExtraSpaces ? 1 : 0);
        Field(model, 3, normalizer.ToArray());
        return model.ToArray();
    }

    private static void Field(MemoryStream message, int number, byte[] value)
    {
        message.WriteByte((byte)(number << 3 | 2));
        Varint(message, value.Length);
        message.Write(value);
    }

    private static void Number(MemoryStream message, int number, int value)
    {
        message.WriteByte((byte)(number << 3));
        Varint(message, value);
    }

    private static void Varint(MemoryStream message, int value)
    {
        for (; value >= 0x80; value >>= 7)
            message.WriteByte((byte)(value | 0x80));
        message.WriteByte((byte)value);
    }
}
