using Hangfire;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.Options;
using SaeService.Api;
using SaeService.Api.Access;
using SaeService.Api.Datasets;
using SaeService.Api.Documentation;
using SaeService.Api.Explorer;
using SaeService.Api.Jobs;
using SaeService.Api.Models;
using SaeService.Api.Operations;
using SaeService.Api.Problems;
using SaeService.Api.Requests;
using SaeService.Api.Results;
using SaeService.Api.Webhooks;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Sources;
using SaeService.Storage;

try
{
    var builder = WebApplication.CreateBuilder(args);
    builder.UseStructuredLogs();
    var settings = ServiceSettings.From(builder.Configuration);
    builder.WebHost.ConfigureKestrel(kestrel =>
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = settings.Limits.MaxJsonBytes;
    });
    builder.Services.ConfigureHttpJsonOptions(options => Wire.Configure(options.SerializerOptions));
    builder.Services.AddSingleton(settings)
        .AddSaeStorage(settings.ConnectionString)
        .AddSaeArtifacts(settings.ArtifactsRoot)
        .AddSaeHangfireClient(settings.ConnectionString)
        .AddSaeQueueing()
        .AddSaeJobSignals()
        .AddHostedService<ParentProcess>()
        .AddHostedService<UploadSweeper>()
        .AddWebhooks(settings)
        .AddSingleton<ApiKeys>()
        .AddSingleton(new HubSource(settings.Sources))
        .AddSingleton(provider => new DatasetSource(settings.Sources, provider.GetRequiredService<HubSource>()))
        .AddSingleton<HubModels>()
        .AddSingleton<ModelCatalogue>()
        .AddSingleton<SaeCatalogue>()
        .AddSingleton<DatasetCatalogue>()
        .AddSingleton<DatasetUpload>()
        .AddSingleton<CorpusSample>()
        .AddSingleton<JobEstimates>()
        .AddSingleton<RequestResolver>()
        .AddScoped<FeatureReader>()
        .AddSingleton<JobSubmission>()
        .AddScoped<NeighbourReader>()
        .AddProblemResponses()
        .AddExplorer()
        .AddAccess(settings)
        .AddHealth()
        .AddOpenApiDocument();

    if (settings.Sources.AnnotatorUrl is { } annotator)
        builder.Services.AddSingleton(new Annotator(annotator, settings.Sources.AnnotatorModel, proxy: settings.Sources.UseProxy));

    var app = builder.Build();
    app.UseSecurityHeaders();
    app.UseRequestLog();
    app.UseProblemResponses();
    app.UseRouting();
    app.UseAuthentication();
    app.UseRateLimiter();
    app.UseAuthorization();
    app.UseOpenApiDocument();
    app.MapExplorer();
    app.MapSession();
    app.MapHealth();
    app.MapMetrics();
    app.MapModels();
    app.MapDatasets();
    var jobs = app.MapJobs();
    jobs.MapJobEvents();
    jobs.MapLayers();
    jobs.MapFeatures();
    jobs.MapInspect();
    jobs.MapExports();
    jobs.MapFigures();
    app.MapCompare();
    app.MapDocumentSchema();
    app.MapHangfireDashboardWithAuthorizationPolicy(Scopes.Admin, "/hangfire",
        new DashboardOptions { DisplayStorageConnectionString = false, DashboardTitle = "SaeService queue", AppPath = "/" });

    await app.StartAsync();
    OpenMode.RequireLoopback(app.Services.GetRequiredService<IServer>(), settings);
    await app.WaitForShutdownAsync();
    return 0;
}
catch (Exception e) when (e is OptionsValidationException or InvalidOperationException { Source: "SaeService.Api" })
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
