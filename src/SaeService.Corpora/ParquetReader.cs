using SaeService.Corpora.Parquet;

namespace SaeService.Corpora;

/// <summary>
/// Parquet files of a sentence a row: a list column <c>tokens</c> (or <c>words</c>) and lists of labels beside it, as data sets on the Hugging
/// Face hub have them. Read page by page; only the columns that are needed. Numbers get their names from the hub's metadata.
/// </summary>
internal static class ParquetReader
{
    private const long FreeBytes = 64 << 20;
    private static readonly string[] Forms = ["tokens", "words"];
    private static readonly string[] Ids = ["id", "sent_id", "idx"], Documents = ["doc", "document_id", "doc_id"];

    public static IEnumerable<Sentence> Read(string path, ReadSettings settings)
    {
        using var file = OpenPlain(path, settings);
        var name = Path.GetFileName(path);
        ParquetFooter footer;
        RecordSentences sentences;
        try
        {
            footer = ParquetFooter.Read(file);
            sentences = new RecordSentences(name, settings);
            foreach (var (column, names) in ClassNames.Read(footer.Metadata))
                sentences.Names[RecordSentences.TaskOf(column) ?? column] = names;
        }
        catch (FormatException wrong)
        {
            throw new CorpusException(name, null, null, wrong.Message, wrong);
        }
        var limit = checked(FreeBytes + (settings.MaxExpansion * file.Length));
        if (footer.Rows > limit)
            throw new CorpusException(name, null, null, $"it claims {footer.Rows} rows in {file.Length} bytes");
        var budget = new ExpansionBudget(limit);
        for (var g = 0; g < footer.RowGroups.Count; g++)
        {
            var group = footer.RowGroups[g];
            var columns = Columns(footer, g, sentences, file, budget, name);
            for (var row = 1L; row <= group.Rows; row++)
            {
                Sentence sentence;
                try
                {
                    budget.Spend(1); // rows of nothing take no bytes of a page
                    sentence = sentences.Build(Record(columns));
                }
                catch (FormatException wrong)
                {
                    throw new CorpusException(name, null, null, $"row group {g + 1}, row {row}: {wrong.Message}", wrong);
                }
                yield return sentence;
            }
        }
    }

    private static List<(ParquetLeaf Leaf, ColumnCursor Cursor)> Columns(ParquetFooter footer, int group, RecordSentences sentences, FileStream file, ExpansionBudget budget,
        string name)
    {
        var form = Array.Find(Forms, f => footer.Leaves.Exists(l => l.Column == f && l.MaxRepetition == 1 && ColumnCursor.CanRead(l)))
            ?? throw new CorpusException(name, null, null, "no column 'tokens' or 'words' that is a list of strings; there are "
                + string.Join(", ", footer.Leaves.Select(l => l.Column).Distinct().Take(30).Select(c => CorpusException.Quote(c))));
        var columns = new List<(ParquetLeaf, ColumnCursor)>();
        foreach (var (leaf, chunk) in footer.Leaves.Zip(footer.RowGroups[group].Chunks))
            if (ColumnCursor.CanRead(leaf) && (leaf.Column == form || (leaf.MaxRepetition == 0
                ? leaf.Column == "text" || Ids.Contains(leaf.Column) || Documents.Contains(leaf.Column)
                : !Forms.Contains(leaf.Column) && sentences.Reads(leaf.Column))))
                columns.Add((leaf, new(file.SafeFileHandle, leaf, chunk, budget)));
        return columns;
    }

    private static SentenceRecord Record(List<(ParquetLeaf Leaf, ColumnCursor Cursor)> columns)
    {
        var values = columns.ConvertAll(c =>
        {
            try
            {
                return c.Cursor.Next();
            }
            catch (FormatException wrong)
            {
                throw new FormatException($"column {CorpusException.Quote(c.Leaf.Column)}: {wrong.Message}", wrong);
            }
        });
        string? Of(string[] names) => names.Select(n => columns.FindIndex(c => c.Leaf.Column == n && c.Leaf.MaxRepetition == 0))
            .Where(i => i >= 0).Select(i => values[i]?[0].Text).FirstOrDefault(text => text is { Length: > 0 });

        var record = new SentenceRecord
        {
            Id = Of(Ids),
            Document = Of(Documents),
            Text = Of(["text"]),
            Forms = values[columns.FindIndex(c => Forms.Contains(c.Leaf.Column))] ?? [],
        };
        for (var i = 0; i < columns.Count; i++)
            if (columns[i].Leaf.MaxRepetition == 1 && !Forms.Contains(columns[i].Leaf.Column) && values[i] is { } cells)
                record.Columns.Add(new(columns[i].Leaf.Column, cells));
        return record;
    }

    /// <summary>Parquet is read from its end, so a compressed one is unpacked first, to a file that vanishes with its handle.</summary>
    private static FileStream OpenPlain(string path, ReadSettings settings)
    {
        using var stream = new CorpusStream(path, settings.MaxExpansion);
        if (!stream.Compressed)
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.RandomAccess);
        var plain = new FileStream(Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()),
            new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Options = FileOptions.DeleteOnClose });
        try
        {
            stream.CopyTo(plain);
            plain.Flush();
            plain.Position = 0;
            return plain;
        }
        catch
        {
            plain.Dispose();
            throw;
        }
    }
}
