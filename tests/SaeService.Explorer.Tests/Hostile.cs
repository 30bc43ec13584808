namespace SaeService.Explorer.Tests;

/// <summary>What vocabularies, corpora and people who name things have in them.</summary>
internal static class Hostile
{
    public const string Markup = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`&amp;</td></table>";
    public const string Chinese = "中文的标签和句子没有空格";
    public const string Arabic = "كتاب جديد";
    public const string Hebrew = "ספר חדש";
    public const string Emoji = "👩‍👩‍👧‍👦🏳️‍🌈";

    /// <summary>Turns what follows around, hides what stands between, rings the bell.</summary>
    public const string Controls = "a\u202Eexe.gpj\u202C b\u200B\u2066c\u2069 \u0007\u001B[31m\u0085 \uFEFFd";
    public static readonly string Long = new('w', 2000);

    /// <summary>Of each kind one.</summary>
    public static readonly string[] Words = [Markup, Chinese, Arabic, Hebrew, Emoji, Controls, Long, "javascript:alert(3)", "plain"];

    /// <summary>A sentence in which every script and direction stands beside every other.</summary>
    public static readonly string Sentence = string.Join(' ', Words);
}
