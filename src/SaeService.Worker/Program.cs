using SaeService.Pipeline;
using SaeService.Pipeline.Inspection;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.Worker;
using Serilog;
using Serilog.Events;
using Serilog.Formatting.Compact;

// A worker: takes stages off the queue, one at a time, and is the only process that loads libtorch.
if (args is [VerifyModel.Verb, .. var verify])
    return VerifyModel.Run(verify);
if (args is [TruthVerbs.Truth or TruthVerbs.Sample, .. var known])
    return TruthVerbs.Run(args[0], known);
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddSerilog((_, log) =>
{
    log.MinimumLevel.Information()
        .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
        .MinimumLevel.Override("Hangfire", LogEventLevel.Warning)
        .ReadFrom.Configuration(builder.Configuration)
        .Enrich.FromLogContext()
        .Enrich.WithProperty("Process", "worker");
    if (builder.Configuration["Logging:Format"] == "text")
        log.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {JobId} {Stage} {Layer} {Attempt} {Message:lj}{NewLine}{Exception}");
    else
        log.WriteTo.Console(new RenderedCompactJsonFormatter());
});

var database = builder.Configuration.GetConnectionString("Default")
    ?? throw new InvalidOperationException("ConnectionStrings:Default is not set: the worker needs the database of the service");
var options = builder.Configuration.GetSection(WorkerOptions.Section).Get<WorkerOptions>() ?? new WorkerOptions();
if (options.MaxMemoryBytes is { } bytes)
{
    AppContext.SetData("GCHeapHardLimit", (ulong)bytes);
    GC.RefreshMemoryLimit();
}
builder.Services.AddSingleton(options);
builder.Services.AddSaeStorage(database);
builder.Services.AddSaeArtifacts(builder.Configuration["Artifacts:Root"] ?? Path.Combine(AppContext.BaseDirectory, "artifacts"));
builder.Services.AddSingleton(CatalogueRoots.Read(builder.Configuration));
builder.Services.AddSaeHangfireClient(database);
builder.Services.AddSaeQueueing();
builder.Services.AddSingleton<IStageRunner, StageRunner>();
builder.Services.AddSingleton<WarmJobs>();
builder.Services.AddHostedService<InspectionService>();
builder.Services.AddSaeHangfireServer(options.Name, options.ShutdownTimeout);
builder.Services.AddHostedService<ParentProcess>();
// Longer than Hangfire's own limit, or the running stage is never told to hand itself back.
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.ShutdownTimeout + TimeSpan.FromSeconds(10));

var app = builder.Build();
TorchRuntime.Start(options, app.Services.GetRequiredService<ILogger<Program>>());
app.MapGet("/healthz/live", () => Results.Text("live"));
app.MapGet("/healthz/ready", async (Npgsql.NpgsqlDataSource source, CancellationToken ct) =>
{
    await using var command = source.CreateCommand("SELECT 1");
    await command.ExecuteScalarAsync(ct);
    return Results.Text("ready");
});
await app.RunAsync();
return 0;
