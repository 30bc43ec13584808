using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// Files that only Python's pickle reads. Unpickling runs what the file says, so it is not done here; the refusal says by which command the owner makes
/// safetensors of it where PyTorch is at hand, with the loader that admits tensors only.
/// </summary>
internal static class Pickles
{
    private static readonly string[] s_suffixes = [".pt", ".pth", ".bin", ".pkl", ".ckpt"];

    /// <exception cref="CheckpointException">PickleOnly with the command, or NotFound: always one of the two.</exception>
    public static CheckpointException Refuse(string folder, SaeFormat? format, string missing)
    {
        var pickle = Directory.EnumerateFiles(folder).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)
            .FirstOrDefault(name => s_suffixes.Contains(Path.GetExtension(name).ToLowerInvariant()));
        if (pickle is null)
            return new(CheckpointFault.NotFound, Path.Combine(folder, missing), null, "no such file");
        format ??= pickle == "ae.pt" ? SaeFormat.DictionaryLearning : null;
        var how = format switch
        {
            SaeFormat.OpenAi => $"In the folder, convert it: {OpenAi(pickle)}",
            null => $"In the folder, convert it. Of OpenAI's sparse_autoencoder: {OpenAi(pickle)}\n"
                + $"Of dictionary_learning: {Plain(pickle, DictionaryLearningFormat.WeightsFile)}",
            SaeFormat.DictionaryLearning => $"In the folder, convert it: {Plain(pickle, DictionaryLearningFormat.WeightsFile)}",
            _ => $"In the folder, convert it: {Plain(pickle, missing)}",
        };
        return new(CheckpointFault.PickleOnly, Path.Combine(folder, pickle), null, $"is a pickle, which is code and is never opened here. {how}");
    }

    /// <summary>A state dict of tensors only.</summary>
    public static string Plain(string pickle, string target) =>
        "python3 -c \"from torch import load; from safetensors.torch import save_file; "
        + $"save_file({{k: v.clone().contiguous() for k, v in load('{Safe(pickle)}', map_location='cpu', weights_only=True).items()}}, '{target}')\"";

    /// <summary>A state dict that also names its activation, which becomes metadata.</summary>
    public static string OpenAi(string pickle) =>
        "python3 -c \"from torch import load; from safetensors.torch import save_file; "
        + $"s = load('{Safe(pickle)}', map_location='cpu', weights_only=True); a = s.get('activation_state_dict', {{}}); "
        + "save_file({k: v.clone().contiguous() for k, v in s.items() if hasattr(v, 'clone')}, "
        + $"'{OpenAiFormat.WeightsFile}', {{'activation': s.get('activation', 'ReLU'), "
        + $"'k': str(a.get('k', '')), 'postact_fn': str(a.get('postact_fn', ''))}})\"";

    // A file's name is another's word: it goes into a command only where it is harmless there.
    private static string Safe(string name) => name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_') ? name : "FILE";
}
