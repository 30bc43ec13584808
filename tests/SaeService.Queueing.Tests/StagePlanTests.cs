using SaeService.Contracts;
using SaeService.Storage;
using Xunit;

namespace SaeService.Queueing.Tests;

public sealed class StagePlanTests
{
    [Theory]
    [InlineData(new[] { 0 })]
    [InlineData(new[] { 3 })]
    [InlineData(new[] { 0, 1, 2, 3, 4 })]
    [InlineData(new[] { 2, 5, 9, 11 })]
    public void Every_stage_comes_after_what_it_depends_on_and_the_weights_add_up(int[] layers)
    {
        var stages = StagePlan.Create(Guid.CreateVersion7(), layers);
        var byId = stages.ToDictionary(x => x.Id);
        Assert.Equal(3 + (5 * layers.Length), stages.Count);
        Assert.Equal(Enumerable.Range(0, stages.Count), stages.Select(x => x.Ordinal));
        Assert.Equal(1, stages.Sum(x => x.Weight), 12);
        Assert.Equal(StageKind.Prepare, Assert.Single(stages, x => x.Status == StageStatus.Ready).Kind);

        // Done in any order the graph allows, everything gets done, conclude last.
        var done = new HashSet<Guid>();
        StageRow? last = null;
        while (stages.FirstOrDefault(x => !done.Contains(x.Id) && x.DependsOn.All(done.Contains)) is { } next)
            done.Add((last = next).Id);
        Assert.Equal(stages.Count, done.Count);
        Assert.Equal(StageKind.Conclude, last!.Kind);
        Assert.Equal(stages.Count - 1, Reaches(byId, last).Count);
    }

    [Theory]
    [InlineData("quick", 0, false)]
    [InlineData("standard", 0, false)]
    [InlineData("full", 1, true)]
    [InlineData("thorough", 2, true)]
    public void Each_mode_has_the_stages_that_it_promises(string mode, int untrained, bool dictionaries)
    {
        int[] layers = [0, 2, 4];
        var stages = StagePlan.Create(Guid.CreateVersion7(), layers, mode);
        // The model with permuted blocks has the trained embedding: layer 0 is not compared with itself.
        var ofUntrained = (untrained > 0 ? 1 + layers.Length : 0) + (untrained > 1 ? layers.Length : 0);
        Assert.Equal(3 + 5 * layers.Length + ofUntrained + (dictionaries ? layers.Length : 0), stages.Count);
        Assert.DoesNotContain(stages, x => x.Kind == StageKind.Permuted && x.Layer == 0);
        Assert.Equal(1, stages.Sum(x => x.Weight), 12);
        Assert.Equal(Enumerable.Range(0, stages.Count), stages.Select(x => x.Ordinal));
        Assert.Equal(stages.Count - 1, Reaches(stages.ToDictionary(x => x.Id), stages.Single(x => x.Kind == StageKind.Conclude)).Count);
        foreach (var stage in stages.Where(x => x.Kind is StageKind.Untrained or StageKind.Permuted))
        {
            // Beside the trained model, not behind it.
            var needs = Reaches(stages.ToDictionary(x => x.Id), stage).Select(id => stages.Single(x => x.Id == id).Kind);
            Assert.Equal([StageKind.Prepare, stage.Kind == StageKind.Untrained ? StageKind.UntrainedCapture : StageKind.PermutedCapture, StageKind.Capture], needs.Order());
        }
    }

    [Theory]
    [InlineData("resid_post", new[] { 0 }, 0)]
    [InlineData("resid_post", new[] { 0, 1 }, 1)]
    [InlineData("resid_pre", new[] { 0, 1 }, 0)]
    [InlineData("resid_pre", new[] { 1, 2 }, 1)]
    public void Permuted_blocks_are_run_only_for_layers_behind_a_block(string hook, int[] layers, int measured)
    {
        var stages = StagePlan.Create(Guid.CreateVersion7(), layers, "thorough", hook);
        Assert.Equal(measured, stages.Count(x => x.Kind == StageKind.Permuted));
        Assert.Equal(Math.Min(1, measured), stages.Count(x => x.Kind == StageKind.PermutedCapture));
    }

    [Fact]
    public void Autoencoders_of_an_untrained_model_wait_for_those_whose_sizes_they_take()
    {
        var stages = StagePlan.Create(Guid.CreateVersion7(), [1, 2], "full", pretrained: true);
        Assert.Contains(stages.Single(x => x.Kind == StageKind.Train && x.Layer == 2).Id, stages.Single(x => x.Kind == StageKind.Untrained && x.Layer == 2).DependsOn);
    }

    [Fact]
    public void Probes_of_other_layers_wait_for_the_reference_layer()
    {
        var stages = StagePlan.Create(Guid.CreateVersion7(), [1, 4, 8]);
        var reference = stages.Single(x => x.Kind == StageKind.Inform && x.Layer == 4);
        Assert.Equal(4, StagePlan.ReferenceLayer([1, 4, 8]));
        Assert.Equal([stages.Single(x => x.Kind == StageKind.Capture).Id], reference.DependsOn);
        Assert.All(stages.Where(x => x.Kind == StageKind.Inform && x.Layer != 4), x => Assert.Contains(reference.Id, x.DependsOn));
    }

    private static HashSet<Guid> Reaches(Dictionary<Guid, StageRow> stages, StageRow from)
    {
        var reached = new HashSet<Guid>();
        var open = new Stack<Guid>(from.DependsOn);
        while (open.TryPop(out var id))
            if (reached.Add(id))
                foreach (var next in stages[id].DependsOn)
                    open.Push(next);
        return reached;
    }
}
