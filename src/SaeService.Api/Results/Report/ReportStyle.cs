using SaeService.Figures.Painting;

namespace SaeService.Api.Results.Report;

/// <summary>The report's style: in the file itself, light and dark, and on paper.</summary>
internal static class ReportStyle
{
    public static string Css { get; } = $$"""
        :root { color-scheme: light dark; --page: {{Theme.Light.Background}}; --ink: {{Theme.Light.Ink}}; --muted: {{Theme.Light.Muted}}; --rule: {{Theme.Light.Rule}}; --shade: {{Theme.Light.Empty}} }
        * { box-sizing: border-box }
        body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; background: var(--page); color: var(--ink); font: 16px/1.5 "Liberation Sans", Arial, Helvetica, sans-serif }
        h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere }
        h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--rule) }
        h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere }
        nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; list-style: none }
        a { color: inherit }
        .wide { overflow-x: auto; max-width: 100% }
        table { border-collapse: collapse; font-size: .92rem; min-width: 40rem; width: 100% }
        caption { text-align: left; color: var(--muted); padding-bottom: .3rem }
        th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--rule); overflow-wrap: break-word; max-width: 34rem }
        thead th { background: var(--shade) }
        .n { font-variant-numeric: tabular-nums; white-space: nowrap }
        figure { margin: 1.5rem 0 }
        figure svg { max-width: none; height: auto }
        figcaption { color: var(--muted); font-size: .9rem; max-width: 44rem }
        dt { font-weight: bold; margin-top: .5rem; overflow-wrap: anywhere }
        dd { margin: 0 0 0 1rem; overflow-wrap: anywhere }
        pre { overflow-x: auto; background: var(--shade); padding: .8rem; font-size: .85rem }
        code { overflow-wrap: anywhere; font-size: .88em }
        @media screen and (prefers-color-scheme: dark) {
            :root { --page: {{Theme.Dark.Background}}; --ink: {{Theme.Dark.Ink}}; --muted: {{Theme.Dark.Muted}}; --rule: {{Theme.Dark.Rule}}; --shade: {{Theme.Dark.Empty}} }
            {{Darkened()}}
        }
        @media print {
            body { max-width: none; padding: 0; font-size: 10pt }
            nav { display: none }
            .wide { overflow: visible }
            table { min-width: 0 }
            tr, figure { break-inside: avoid }
            figure svg { max-width: 100% }
        }
        """;

    // Pictures are drawn once, in the light theme; a page in the dark gives each of its colours that of the dark theme.
    private static string Darkened() => string.Join("\n    ", Pairs().SelectMany(pair => new[] { "fill", "stroke" }
        .Select(attribute => $$"""figure svg [{{attribute}}="{{pair.Light}}"] { {{attribute}}: {{pair.Dark}} }""")));

    private static IEnumerable<(string Light, string Dark)> Pairs()
    {
        var (light, dark) = (Theme.Light, Theme.Dark);
        return [(light.Background, dark.Background), (light.Ink, dark.Ink), (light.Muted, dark.Muted), (light.Rule, dark.Rule), (light.Empty, dark.Empty), .. light.Series.Zip(dark.Series)];
    }
}
