using SaeService.Columns;

namespace SaeService.Interpretation;

/// <summary>Which part of the split a document, and so its words, belong to.</summary>
public enum Part : byte { Train, Dev, Test }

/// <summary>The words an analysis is about, as numbers: everything the statistics need to know of the corpus.</summary>
/// <param name="Document">Of each word, 0-based.</param>
/// <param name="Sentence">Of each word, 0-based over the corpus.</param>
/// <param name="Type">Word form of each word, lower-cased, as an id.</param>
/// <param name="PartOfDocument">By document.</param>
public sealed record LabelledWords(Column<int> Document, Column<int> Sentence, Column<int> Type, Part[] PartOfDocument, IReadOnlyList<TaskLabels> Tasks)
{
    public int Count => Document.Length;
    public Part PartOf(int word) => PartOfDocument[Document[word]];
}

/// <param name="Names">Label names; ids are positions in it.</param>
/// <param name="Of">Label id of each word, -1 where it has none.</param>
/// <param name="Excluded">Labels that are never a feature's label (<c>O</c>, <c>_</c>, <c>X</c>), though they stay in the information.</param>
public sealed record TaskLabels(string Task, string[] Names, Column<int> Of, IReadOnlySet<int> Excluded);
