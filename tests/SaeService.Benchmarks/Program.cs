using SaeService.Benchmarks;

var json = args.Length == 3 && args[1] == "--json" ? args[2] : null;
switch (args)
{
    case ["capture", ..] when args.Length == 1 || json is not null:
        Report.Write(CaptureBenchmark.Run(), json);
        return 0;
    default:
        Console.Error.WriteLine("capture [--json FILE]: tokens a second of capture beside those of its matrix products alone");
        return 2;
}
