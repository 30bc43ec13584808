namespace SaeService.Autoencoders;

/// <summary>Architectures by the names that SAELens gives them, which are also those of the wire.</summary>
public static class Architectures
{
    /// <summary>What can be trained.</summary>
    public static IReadOnlyList<string> Trained { get; } = [.. Enum.GetValues<TrainingArchitecture>().Select(NameOf)];

    public static string NameOf(TrainingArchitecture architecture) => architecture switch
    {
        TrainingArchitecture.TopK => "topk",
        TrainingArchitecture.BatchTopK => "batchtopk",
        TrainingArchitecture.MatryoshkaBatchTopK => "matryoshka_batchtopk",
        _ => throw new ArgumentOutOfRangeException(nameof(architecture), architecture, null),
    };

    public static string NameOf(SaeArchitecture architecture) => architecture switch
    {
        SaeArchitecture.TopK => "topk",
        SaeArchitecture.Standard => "standard",
        SaeArchitecture.JumpRelu => "jumprelu",
        _ => throw new ArgumentOutOfRangeException(nameof(architecture), architecture, null),
    };

    /// <exception cref="ArgumentException">None is trained that has the name; the message lists those that are.</exception>
    public static TrainingArchitecture Parse(string name)
    {
        foreach (var architecture in Enum.GetValues<TrainingArchitecture>())
            if (NameOf(architecture) == name)
                return architecture;
        throw new ArgumentException($"no architecture '{name}' is trained here; it must be one of {string.Join(", ", Trained)}", nameof(name));
    }
}
