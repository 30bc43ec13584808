namespace SaeService.Cli;

/// <summary>Something the user can act on; printed without a stack trace, exit status 1.</summary>
public sealed class CliException(string message, Exception? inner = null) : Exception(message, inner);
