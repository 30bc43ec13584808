using System.CommandLine;
using SaeService.Cli;

var root = new RootCommand("sae: what does each layer of a language model do? Runs the service, submits analyses and shows their results.")
{
    LocalCommands.Up(),
    LocalCommands.Demo(),
    JobCommands.Submit(),
    JobCommands.List(),
    JobCommands.Watch(),
    JobCommands.Show(),
    JobCommands.Compare(),
    DataCommands.Data(),
    VerifyCommands.Create(),
    BenchCommands.Create(),
    ConvertCommands.Create(),
    OperatorCommands.Migrate(),
    OperatorCommands.Keys(),
};
using var stop = new StopSignal();
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, stop.Token);
}
catch (OperationCanceledException)
{
    return 130;
}
catch (CliException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
