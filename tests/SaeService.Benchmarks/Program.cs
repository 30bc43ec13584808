using System.Globalization;
using SaeService.Benchmarks;

// Speed as measured, for people to read: nothing here is a test, and nothing fails for being slow.
var json = args.Length == 3 && args[1] == "--json" ? args[2] : null;
switch (args)
{
    case ["capture", ..] when args.Length == 1 || json is not null:
        Report.Write(CaptureBenchmark.Run(), json);
        return 0;
    case ["tokenizers", ..] when args.Length == 1 || json is not null:
        Report.Write(TokenizerSpeed.Measure(), json);
        return 0;
    case ["sae-step", ..] when args.Length == 1 || json is not null:
        Report.Write(SaeStepBenchmark.Run(rounds: 9), json);
        return 0;
    case ["sae-step", "--size", var size, ..]:
        Report.Write(SaeStepBenchmark.Run(rounds: 9, int.Parse(size, CultureInfo.InvariantCulture), oursOnly: args.Contains("--ours")), null);
        return 0;
    case ["scale", ..] when args.Length == 1 || json is not null:
        Report.Write(ScaleBenchmark.Run(), json);
        return 0;
    default:
        Console.Error.WriteLine("""
            capture [--json FILE]     tokens a second of capture beside those of its matrix products alone
            sae-step [--json FILE]    a training step beside the encoder's matrix product alone, dense autograd and a sparse step in libtorch
                                      (--size 0, 1 or 2: one of the sizes; then --ours: without the two peers)
            scale [--json FILE]       labels, controls, information and conclusion from 10^4 to 10^6 words: seconds, memory, and the exponents of both
            tokenizers [--json FILE]  megabytes a second of every tokenizer of the shared data
            """);
        return 2;
}
