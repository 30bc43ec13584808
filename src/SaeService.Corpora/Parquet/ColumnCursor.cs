using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SaeService.Corpora.Parquet;

/// <summary>
/// The rows of one column of a row group, one after another. Holds a page and the dictionary. A row of a list column is its elements, of any
/// other column one value (Dremel's levels: Melnik et al. 2010; lists of three levels and the two older forms alike).
/// </summary>
internal sealed class ColumnCursor(SafeFileHandle file, ParquetLeaf leaf, ParquetChunk chunk, ExpansionBudget budget)
{
    private const int MaxElements = 100_000;
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly string[] Digits = [.. Enumerable.Range(0, 1000).Select(n => n.ToString(CultureInfo.InvariantCulture))];

    private readonly List<Cell> row = [];
    private long offset = chunk.Start, valuesRead;
    private Cell[]? dictionary;
    private Page? page;
    private int leftInPage;
    private RunLengthDecoder repetition, definition, indices;
    private int position, bit;
    private DeltaDecoder? numbers;
    private IEnumerator<ReadOnlyMemory<byte>>? strings;
    private int ahead = -1; // repetition level of the value that comes next, once read

    public string Column => leaf.Column;

    /// <summary>Whether its values can be labels or words: strings and whole numbers, alone in their field, in a list at most.</summary>
    public static bool CanRead(ParquetLeaf leaf) => leaf.Alone && leaf.MaxRepetition <= 1
        && leaf.Type is PhysicalType.ByteArray or PhysicalType.Int32 or PhysicalType.Int64 or PhysicalType.Boolean;

    /// <summary>The next row: null where the list (or the value) is null.</summary>
    /// <exception cref="FormatException">What is wrong with the column's bytes.</exception>
    public Cell[]? Next()
    {
        if (leaf.MaxRepetition == 0)
        {
            BeginValue();
            return Value() is { IsNull: false } cell ? [cell] : null;
        }
        row.Clear();
        if (ahead < 0)
            ahead = BeginValue();
        if (ahead != 0)
            throw new FormatException("a row begins in the middle of a list");
        do
        {
            var level = leaf.MaxDefinition == 0 ? 0 : definition.Next();
            if (level < leaf.ListDefinition)
            {
                ahead = valuesRead < chunk.Values ? BeginValue() : 0;
                return row.Count == 0 && ahead == 0 ? level < leaf.ListDefinition - 1 ? null : [] : throw new FormatException("a list that is null has elements");
            }
            if (row.Count == MaxElements)
                throw new FormatException($"a list of over {MaxElements} elements");
            row.Add(level == leaf.MaxDefinition ? Plain() : default);
            ahead = valuesRead < chunk.Values ? BeginValue() : 0;
        } while (ahead != 0);
        return [.. row];
    }

    /// <summary>Goes to the next value's levels, in the next page where this one is at its end.</summary>
    /// <returns>Its repetition level.</returns>
    private int BeginValue()
    {
        while (leftInPage == 0)
            OpenPage();
        leftInPage--;
        valuesRead++;
        return leaf.MaxRepetition == 0 ? 0 : repetition.Next();
    }

    private Cell Value() => leaf.MaxDefinition == 0 || definition.Next() == leaf.MaxDefinition ? Plain() : default;

    private void OpenPage()
    {
        if (valuesRead == chunk.Values || offset == chunk.Start + chunk.Bytes)
            throw new FormatException($"its pages end after {valuesRead} of {chunk.Values} values");
        page = Page.Read(file, ref offset, chunk.Start + chunk.Bytes, chunk.Codec, budget);
        if (page.Kind == PageKind.Dictionary)
            dictionary = dictionary is null ? ReadDictionary(page) : throw new FormatException("a second dictionary");
        if (page.Kind is not (PageKind.Data or PageKind.DataV2))
            return;
        leftInPage = page.Values;
        position = 0;
        repetition = Levels(leaf.MaxRepetition, page.RepetitionEnd);
        definition = Levels(leaf.MaxDefinition, page.DefinitionEnd);
        (bit, numbers, strings) = (0, null, null);
        switch (page.Encoding)
        {
            case Encoding.Plain:
                break;
            case Encoding.PlainDictionary or Encoding.RleDictionary when dictionary is not null:
                // A page of nulls alone has not even the width.
                indices = new(page.Bytes, Math.Min(position + 1, page.Bytes.Length), page.Bytes.Length, position < page.Bytes.Length ? page.Bytes[position] : 0);
                break;
            case Encoding.Rle when leaf.Type == PhysicalType.Boolean:
                indices = new(page.Bytes, Math.Min(position + 4, page.Bytes.Length), page.Bytes.Length, 1);
                break;
            case Encoding.DeltaBinaryPacked when leaf.Type is PhysicalType.Int32 or PhysicalType.Int64:
                numbers = new(page.Bytes, position, page.Bytes.Length, page.Values);
                break;
            case Encoding.DeltaLengthByteArray when leaf.Type == PhysicalType.ByteArray:
                strings = DeltaDecoder.Strings(page.Bytes, position, page.Bytes.Length, page.Values).GetEnumerator();
                break;
            case Encoding.DeltaByteArray when leaf.Type == PhysicalType.ByteArray:
                strings = DeltaDecoder.PrefixedStrings(page.Bytes, position, page.Bytes.Length, page.Values).GetEnumerator();
                break;
            default:
                throw new FormatException($"a page of {leaf.Type} in encoding {(int)page.Encoding}{(dictionary is null ? " without a dictionary" : "")}");
        }
    }

    /// <summary>In version 1 a length goes before the levels; in version 2 it stands in the header.</summary>
    private RunLengthDecoder Levels(int max, int end)
    {
        if (max == 0)
            return default;
        if (end < 0)
        {
            var length = position + 4 <= page!.Bytes.Length ? BinaryPrimitives.ReadInt32LittleEndian(page.Bytes.AsSpan(position)) : -1;
            position += 4;
            if (length < 0 || length > page.Bytes.Length - position)
                throw new FormatException("a page's levels are longer than the page");
            end = position + length;
        }
        var start = position;
        position = end;
        return new(page!.Bytes, start, end, BitOperations.Log2((uint)max) + 1);
    }

    private Cell[] ReadDictionary(Page from)
    {
        if (from.Encoding is not (Encoding.Plain or Encoding.PlainDictionary) || leaf.Type == PhysicalType.Boolean)
            throw new FormatException($"a dictionary in encoding {(int)from.Encoding}");
        if (from.Values > from.Bytes.Length / 4)
            throw new FormatException($"a dictionary of {from.Values} values in {from.Bytes.Length} bytes");
        position = 0;
        var read = new Cell[from.Values];
        for (var i = 0; i < read.Length; i++)
            read[i] = PlainValue(from.Bytes);
        return read;
    }

    private Cell Plain()
    {
        if (strings is not null)
            return strings.MoveNext() ? Text(strings.Current.Span) : throw new FormatException("its strings end too early");
        if (numbers is not null)
            return Number(numbers.Next());
        if (page!.Encoding == Encoding.Rle)
            return new(indices.Next() == 1 ? "true" : "false");
        if (page.Encoding == Encoding.Plain)
            return PlainValue(page.Bytes);
        var index = indices.Next();
        return (uint)index < (uint)dictionary!.Length ? dictionary[index] : throw new FormatException($"value {index} of a dictionary of {dictionary.Length}");
    }

    private Cell PlainValue(byte[] bytes)
    {
        if (leaf.Type == PhysicalType.Boolean)
        {
            var set = (Take(bytes, bit == 7 ? 1 : 0, needs: 1)[0] >> bit) & 1;
            bit = (bit + 1) % 8;
            return new(set == 1 ? "true" : "false");
        }
        if (leaf.Type == PhysicalType.Int32)
            return Number(BinaryPrimitives.ReadInt32LittleEndian(Take(bytes, 4, 4)));
        if (leaf.Type == PhysicalType.Int64)
            return Number(BinaryPrimitives.ReadInt64LittleEndian(Take(bytes, 8, 8)));
        var length = BinaryPrimitives.ReadInt32LittleEndian(Take(bytes, 4, 4));
        return length >= 0 ? Text(Take(bytes, length, length)) : throw new FormatException("a string of negative length");
    }

    private ReadOnlySpan<byte> Take(byte[] bytes, int count, int needs)
    {
        if (needs > bytes.Length - position)
            throw new FormatException("its values end too early");
        position += count;
        return bytes.AsSpan(position - count, needs);
    }

    private static Cell Number(long value) =>
        new(value >= 0 && value < Digits.Length ? Digits[value] : value.ToString(CultureInfo.InvariantCulture), IsNumber: true);

    private static Cell Text(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return new(Strict.GetString(utf8));
        }
        catch (DecoderFallbackException wrong)
        {
            throw new FormatException("a string is not UTF-8", wrong);
        }
    }
}
