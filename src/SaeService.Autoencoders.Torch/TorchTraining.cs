using SaeService.Columns;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>Trains as <see cref="SaeSweep"/> does, with every step on a device of libtorch's. Checkpoints are the same: a run may go on on another device.</summary>
public static class TorchTraining
{
    /// <inheritdoc cref="SaeSweep(IReadOnlyList{SaeTrainingSettings}, ActivationFile, Column{int}, int?)"/>
    /// <param name="device">Of the parameters, the moments and the steps.</param>
    public static SaeSweep Start(IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> trainRows, Device device, int? threads = null) =>
        new(settings, activations, trainRows, threads, (own, state) => new TorchStep(own, state.Parameters, device));

    /// <summary>Continues where <see cref="SaeSweep.SaveCheckpoint"/> left off.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of other settings, rows or activations, or is damaged.</exception>
    public static SaeSweep Resume(string path, IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> trainRows, Device device,
        int? threads = null) => Start(settings, activations, trainRows, device, threads).ContinueFrom(path);
}
