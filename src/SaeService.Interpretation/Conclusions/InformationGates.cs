using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>
/// Whether the layer's vectors tell more than they should need to (method 4, result rule). Against the word-type table the question is asked of each
/// label: code length of 1[label] under the table minus under the probe. The control task has no labels in common with the task, so against it
/// the question is asked of the task as a whole, and in shares of what there is to know: which labels frequent word types draw decides how many bits
/// that is. Both by the lower end of the 95 % document-bootstrap interval.
/// </summary>
internal sealed class InformationGates
{
    private readonly TaskInformation _task;
    private readonly DocumentBootstrap _bootstrap;
    private readonly Dictionary<string, bool> _overTypes = [];

    public InformationGates(TaskInformation task, DocumentBootstrap bootstrap)
    {
        _task = task;
        _bootstrap = bootstrap;
        var left = bootstrap.Ratios(task.LayerBits, task.MarginalBits, undefined: 1);
        var leftOfControl = bootstrap.Ratios(task.ControlLayerBits, task.ControlMarginalBits, undefined: 1);
        OverControl = DocumentBootstrap.Interval([.. leftOfControl.Zip(left, (control, layer) => control - layer)])[0] > 0;
    }

    public bool OverControl { get; }

    public bool OverTypes(string label)
    {
        if (!_overTypes.TryGetValue(label, out var beats))
        {
            var of = _task.PerLabel.FirstOrDefault(l => l.Label == label);
            _overTypes[label] = beats = of is not null && Beats(document => of.TypeBits[document] - of.LayerBits[document]);
        }
        return beats;
    }

    private bool Beats(Func<int, double> bitsOfDocument)
    {
        var bits = Enumerable.Range(0, _task.Documents.Length).Select(bitsOfDocument).ToArray();
        var words = Array.ConvertAll(_task.Words, w => (double)w);
        return DocumentBootstrap.Interval(_bootstrap.Ratios(bits, words))[0] > 0;
    }
}
