using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>Stages in a reader's words.</summary>
public static class StageText
{
    public static string Title(StageKind kind) => kind switch
    {
        StageKind.UntrainedCapture => "capture, untrained",
        StageKind.PermutedCapture => "capture, permuted",
        StageKind.Untrained => "untrained model",
        StageKind.Permuted => "permuted model",
        StageKind.Inform => "information",
        StageKind.Control => "controls",
        _ => kind.Name(),
    };

    /// <summary>What is done there, in a sentence.</summary>
    public static string What(StageKind kind) => kind switch
    {
        StageKind.Prepare => "Checks and hashes the model and the data set, makes tokens, finds the tokens of every word, parts the documents.",
        StageKind.Capture => "Runs the model over the text and keeps the vectors of every layer asked for.",
        StageKind.Train => "Trains a sparse autoencoder on the layer's vectors.",
        StageKind.Encode => "Finds which features fire on which words.",
        StageKind.Label => "Names every feature on train documents and judges it on held-out ones.",
        StageKind.Inform => "Measures how much of the labels a linear probe reads from the layer, with its controls.",
        StageKind.Control => "Repeats the features' tests with random directions, word lists and shuffled labels.",
        StageKind.Dictionaries => "Sets neurons, PCA, ICA and untrained autoencoders beside the autoencoder.",
        StageKind.UntrainedCapture => "Runs a model of the same shape with fresh weights over the text.",
        StageKind.Untrained => "Goes the whole way with the untrained model's layer: autoencoder, labels, information.",
        StageKind.PermutedCapture => "Runs the model with trained embeddings under permuted blocks over the text.",
        StageKind.Permuted => "Goes the whole way with that model's layer.",
        StageKind.Conclude => "Joins everything: gates, intervals, profiles, summaries.",
        _ => "",
    };

    public static string Status(StageStatus status) => status switch
    {
        StageStatus.Succeeded => "done",
        StageStatus.Ready => "ready",
        _ => status.ToString().ToLowerInvariant(),
    };
}
