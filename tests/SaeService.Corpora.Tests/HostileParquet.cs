using System.Text;

namespace SaeService.Corpora.Tests;

/// <summary>Small Parquet files that claim much. A writer of Thrift's compact protocol, as far as that needs it.</summary>
internal static class HostileParquet
{
    private const long Many = 1_000_000_000_000;

    public static byte[] Make(string claim)
    {
        var file = new List<byte>("PAR1"u8.ToArray());
        var page = file.Count;
        if (claim is "page" or "values" or "runs")
            AddPages(file, claim);
        else
            file.AddRange(new byte[64]);
        var bytes = file.Count - page;
        var rows = claim switch { "rows" => Many, "runs" => 2 * (16L << 20), _ => 1 };
        var column = Struct(
            (3, Struct((1, Int(6)), (4, Int(0)), (5, Long(claim == "rows" ? Many : rows)),
                (7, Long(claim == "place" ? long.MaxValue : bytes)), (9, Long(page)))));
        var group = Struct((1, List(12, column)), (3, Long(rows)));
        byte[] schema = claim == "schema"
            ? List(12, [.. Enumerable.Range(0, 100).Select(_ => Struct((4, Text("a")), (5, Int(1))))])
            : List(12, Struct((4, Text("s")), (5, Int(1))), Struct((1, Int(6)), (3, Int(2)), (4, Text("tokens"))));
        var footer = claim switch
        {
            "groups" => [.. Field(0, 3, Long(1)), 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
            "deep" => Enumerable.Repeat((byte)0x1c, 9000).ToArray(),
            _ => Top((2, schema), (3, Long(rows)), (4, List(12, group))),
        };
        return [.. file, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8];
    }

    /// <summary>A good file of many row groups: a word and its label a row.</summary>
    public static byte[] Large(int groups, int rows)
    {
        var file = new List<byte>("PAR1"u8.ToArray());
        var written = new List<byte[]>();
        for (var g = 0; g < groups; g++)
        {
            var chunks = new List<byte[]>();
            foreach (var name in (string[])["word of row", "X"])
            {
                var values = Enumerable.Range(0, rows).SelectMany(r => PlainText(name == "X" ? name : $"{name} {g} {r} and some more of it"));
                var run = Unsigned((ulong)rows << 1);
                byte[] data = [.. BitConverter.GetBytes(run.Length + 1), .. run, 0, .. BitConverter.GetBytes(run.Length + 1), .. run, 1, .. values];
                var start = file.Count;
                file.AddRange(Top((1, Int(0)), (2, Int(data.Length)), (3, Int(data.Length)), (5, Struct((1, Int(rows)), (2, Int(0)), (3, Int(3)), (4, Int(3))))));
                file.AddRange(data);
                chunks.Add(Struct((3, Struct((1, Int(6)), (4, Int(0)), (5, Long(rows)), (7, Long(file.Count - start)), (9, Long(start))))));
            }
            written.Add(Struct((1, List(12, [.. chunks])), (3, Long(rows))));
        }
        var footer = Top((2, List(12, Struct((4, Text("s")), (5, Int(2))), Struct((1, Int(6)), (3, Int(2)), (4, Text("tokens"))), Struct((1, Int(6)), (3, Int(2)), (4, Text("pos_tags"))))),
            (3, Long((long)groups * rows)), (4, List(12, [.. written])));
        return [.. file, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8];
    }

    private static byte[] PlainText(string value) => [.. BitConverter.GetBytes(value.Length), .. Encoding.UTF8.GetBytes(value)];

    /// <summary>A dictionary of one word, and pages of nothing but runs of it.</summary>
    private static void AddPages(List<byte> file, string claim)
    {
        byte[] word = [1, 0, 0, 0, (byte)'a'];
        file.AddRange(Top((1, Int(2)), (2, Int(word.Length)), (3, Int(word.Length)), (7, Struct((1, Int(1)), (2, Int(0))))));
        file.AddRange(word);
        var values = claim switch { "values" => int.MaxValue, "runs" => 16 << 20, _ => 1 };
        var run = Unsigned((ulong)values << 1);
        byte[] repetition = [.. run, 0], definition = [.. run, 1], indices = [1, .. run, 0];
        byte[] data = [.. BitConverter.GetBytes(repetition.Length), .. repetition, .. BitConverter.GetBytes(definition.Length), .. definition, .. indices];
        for (var pages = claim == "runs" ? 2 : 1; pages > 0; pages--)
        {
            file.AddRange(Top((1, Int(0)), (2, Int(claim == "page" ? int.MaxValue : data.Length)), (3, Int(data.Length)),
                (5, Struct((1, Int(values)), (2, Int(8)), (3, Int(3)), (4, Int(3))))));
            file.AddRange(data);
        }
    }

    private static byte[] Struct(params (int Id, byte[] Value)[] fields)
    {
        var bytes = new List<byte>();
        var before = 0;
        foreach (var (id, value) in fields)
        {
            bytes.AddRange(Field(before, id, value));
            before = id;
        }
        return [12, .. bytes, 0];
    }

    private static byte[] Top(params (int Id, byte[] Value)[] fields) => Struct(fields)[1..];

    // A value carries its kind in front; in a field it goes into the header, in a list it is left out.
    private static byte[] Field(int before, int id, byte[] value) => [(byte)(((id - before) << 4) | value[0]), .. value[1..]];

    private static byte[] List(byte kind, params byte[][] elements) =>
        [9, .. elements.Length < 15 ? [(byte)((elements.Length << 4) | kind)] : (byte[])[(byte)(0xf0 | kind), .. Unsigned((ulong)elements.Length)], .. elements.SelectMany(e => e[1..])];

    private static byte[] Int(int value) => [5, .. Unsigned(ZigZag(value))];

    private static byte[] Long(long value) => [6, .. Unsigned(ZigZag(value))];

    private static byte[] Text(string value) => [8, .. Unsigned((ulong)value.Length), .. Encoding.UTF8.GetBytes(value)];

    private static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    private static byte[] Unsigned(ulong value)
    {
        var bytes = new List<byte>();
        for (; value > 127; value >>= 7)
            bytes.Add((byte)(value | 128));
        bytes.Add((byte)value);
        return [.. bytes];
    }
}
