using System.Globalization;
using SaeService.Benchmarks;

// Speed as measured, for people to read: nothing here is a test, and nothing fails for being slow.
var json = args.Length == 3 && args[1] == "--json" ? args[2] : null;
switch (args)
{
    case ["capture", ..] when args.Length == 1 || json is not null:
        Report.Write(CaptureBenchmark.Run(), json);
        return 0;
    case ["label", ..] when args.Length == 1 || json is not null:
        Report.Write(LabelBenchmark.Run(), json);
        return 0;
    case ["information", ..] when args.Length == 1 || json is not null:
        Report.Write(InformationBenchmark.Run(), json);
        return 0;
    case ["tokenizers", ..] when args.Length == 1 || json is not null:
        Report.Write(TokenizerSpeed.Measure(), json);
        return 0;
    case ["sae-step", .. var options]:
        string? After(string name) => Array.IndexOf(options, name) is >= 0 and var at && at + 1 < options.Length ? options[at + 1] : null;
        Report.Write(SaeStepBenchmark.Run(rounds: 9, After("--size") is { } size ? int.Parse(size, CultureInfo.InvariantCulture) : null, options.Contains("--ours"),
            After("--device")), After("--json"));
        return 0;
    case ["scale", ..] when args.Length == 1 || json is not null:
        Report.Write(ScaleBenchmark.Run(), json);
        return 0;
    default:
        Console.Error.WriteLine("""
            capture [--json FILE]     tokens a second of capture beside those of its matrix products alone
            label [--json FILE]       the pass that labels a layer's features: 60,000 words, 16,384 features, three tasks
            information [--json FILE] seconds of every estimator of information on 20 000 words x 768 dimensions, the probe beside scikit-learn's
            sae-step [--json FILE]    a training step beside the encoder's matrix product alone, dense autograd and a sparse step in libtorch
                                      (--size 0, 1 or 2: one of the sizes; --ours: without the two peers; --device cuda:0: all of it there,
                                      in libtorch's operators)
            scale [--json FILE]       labels, controls, information and conclusion from 10^4 to 10^6 words: seconds, memory, and the exponents of both
            tokenizers [--json FILE]  megabytes a second of every tokenizer of the shared data
            """);
        return 2;
}
