using System.Text.Json;
using SaeService.Benchmarks;

// Speed as measured, for people to read: nothing here is a test, and nothing fails for being slow.
//   dotnet run -c Release --project tests/SaeService.Benchmarks -- VERB [--json FILE]
if (args is not [var verb, ..] || args.Length is not (1 or 3) || (args.Length == 3 && args[1] != "--json"))
{
    Console.Error.WriteLine("usage: VERB [--json FILE], where VERB is tokenizers");
    return 2;
}
object rows;
switch (verb)
{
    case "tokenizers":
        rows = TokenizerSpeed.Measure();
        break;
    default:
        Console.Error.WriteLine($"there is no benchmark '{verb}' (tokenizers)");
        return 2;
}
if (args.Length == 3)
    File.WriteAllText(args[2], JsonSerializer.Serialize(rows, JsonSerializerOptions.Web));
return 0;
