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
    default:
        Console.Error.WriteLine("""
            capture [--json FILE]     tokens a second of capture beside those of its matrix products alone
            tokenizers [--json FILE]  megabytes a second of every tokenizer of the shared data
            """);
        return 2;
}
