namespace SaeService.Sample.Grammar;

/// <summary>
/// A word with its dependents on either side. Reading a tree in order gives the sentence, so every tree is projective, acyclic and has one root.
/// </summary>
internal sealed class Node(string form, string lemma, string upos, string xpos, string feats = "_")
{
    public string Form { get; set; } = form;
    public string Lemma { get; } = lemma;
    public string Upos { get; } = upos;
    public string Xpos { get; } = xpos;
    public string Feats { get; } = feats;
    public string Relation { get; private set; } = "root";
    public EntityMention? Entity { get; private set; }
    public bool GluedToPrevious { get; init; }
    public bool GluedToNext { get; init; }
    public List<Node> Before { get; } = [];
    public List<Node> After { get; } = [];

    public Node Left(string relation, Node dependent)
    {
        dependent.Relation = relation;
        Before.Add(dependent);
        return this;
    }

    /// <summary>Adds dependents in front of all that are there: subjects and auxiliaries, conjunctions, marks, fronted phrases.</summary>
    public Node Front(params IEnumerable<(string Relation, Node Dependent)> dependents)
    {
        var place = 0;
        foreach (var (relation, dependent) in dependents)
        {
            dependent.Relation = relation;
            Before.Insert(place++, dependent);
        }
        return this;
    }

    public Node Right(string relation, Node dependent)
    {
        dependent.Relation = relation;
        After.Add(dependent);
        return this;
    }

    /// <summary>Makes this word and all dependents it has now one entity; what is attached later stays outside.</summary>
    public Node Name(string type)
    {
        var mention = new EntityMention(type);
        foreach (var node in InOrder())
            node.Entity = mention;
        return this;
    }

    public IEnumerable<Node> InOrder() => Before.SelectMany(n => n.InOrder()).Append(this).Concat(After.SelectMany(n => n.InOrder()));
}

/// <summary>One mention of an entity. Words that share the object are one IOB2 span; equal neighbours that do not are two.</summary>
internal sealed class EntityMention(string type)
{
    public string Type => type;
}

/// <summary>A noun phrase and what agrees with it.</summary>
internal readonly record struct Phrase(Node Head, Agreement Agreement);

/// <summary>One word of a finished sentence. <paramref name="Head"/> is 1-based, 0 for the root. <paramref name="Entity"/> is an IOB2 tag.</summary>
public sealed record SampleWord(
    string Form, string Lemma, string Upos, string Xpos, string Feats, int Head, string Relation, string Entity, bool SpaceAfter);

public sealed record SampleSentence(string Id, string Text, IReadOnlyList<SampleWord> Words);

/// <summary>A document; <see cref="Text"/> is what the service feeds to the model: its sentences joined by one space.</summary>
public sealed record SampleDocument(string Id, IReadOnlyList<SampleSentence> Sentences)
{
    public string Text => string.Join(' ', Sentences.Select(s => s.Text));
}

internal static class Linearization
{
    /// <summary>Reads a tree into words: capital letter, a or an, spacing, 1-based heads and IOB2 tags.</summary>
    public static SampleSentence Read(Node root, string id)
    {
        var nodes = root.InOrder().ToArray();
        var index = new Dictionary<Node, int>(nodes.Length);
        for (var i = 0; i < nodes.Length; i++)
            index.Add(nodes[i], i + 1);
        var heads = new int[nodes.Length];
        foreach (var node in nodes)
            foreach (var dependent in node.Before.Concat(node.After))
                heads[index[dependent] - 1] = index[node];

        var first = Array.FindIndex(nodes, n => n.Upos != "PUNCT");
        var words = new SampleWord[nodes.Length];
        var text = new System.Text.StringBuilder();
        for (var i = 0; i < nodes.Length; i++)
        {
            var node = nodes[i];
            var form = node.Lemma == "a" && i + 1 < nodes.Length && Morphology.TakesAn(nodes[i + 1].Form) ? "an" : node.Form;
            if (i == first || (i > 0 && nodes[i - 1].Form == "“"))
                form = char.ToUpperInvariant(form[0]) + form[1..];
            var last = i + 1 == nodes.Length;
            var space = !last && !node.GluedToNext && !nodes[i + 1].GluedToPrevious;
            var entity = node.Entity is null ? "O" : (i > 0 && nodes[i - 1].Entity == node.Entity ? "I-" : "B-") + node.Entity.Type;
            // The last word of a sentence keeps its space: the documents' text joins sentences by one.
            words[i] = new(form, node.Lemma, node.Upos, node.Xpos, node.Feats, heads[i], node.Relation, entity, space || last);
            text.Append(form);
            if (space)
                text.Append(' ');
        }
        return new(id, text.ToString(), words);
    }
}
