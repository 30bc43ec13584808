using SaeService.Checkpoints;
using SaeService.Contracts;

namespace SaeService.Sources;

/// <summary>What a caller is told of something that could not be fetched, or not be read.</summary>
public static class SourceProblems
{
    /// <param name="kind">What was asked for.</param>
    /// <param name="field">JSON path of the member that named it.</param>
    public static ProblemException Of(SourceException e, RepoKind kind, string field) => new(CodeOf(e.Fault, kind == RepoKind.Model), e.Message, field, e);

    /// <summary>The problem code of a model's or an autoencoder's files.</summary>
    public static string CodeOf(CheckpointFault fault) => fault switch
    {
        CheckpointFault.PickleOnly => ProblemCodes.PickleOnlyModel,
        CheckpointFault.Unsupported => ProblemCodes.UnsupportedModel,
        CheckpointFault.OutsideFolder => ProblemCodes.ModelOutsideRoots,
        _ => ProblemCodes.InvalidModel,
    };

    private static string CodeOf(SourceFault fault, bool model) => fault switch
    {
        SourceFault.NotFound or SourceFault.NoRevision => model ? ProblemCodes.UnknownModel : ProblemCodes.UnknownDataset,
        SourceFault.PickleOnly => ProblemCodes.PickleOnlyModel,
        SourceFault.Unusable => model ? ProblemCodes.InvalidModel : ProblemCodes.InvalidDataset,
        SourceFault.Unauthorized => ProblemCodes.HubUnauthorized,
        SourceFault.Offline => ProblemCodes.HubOffline,
        SourceFault.Damaged => ProblemCodes.HubDamaged,
        SourceFault.NoSpace => ProblemCodes.InsufficientResources,
        SourceFault.Refused => ProblemCodes.HubRefused,
        _ => ProblemCodes.HubUnavailable,
    };
}
