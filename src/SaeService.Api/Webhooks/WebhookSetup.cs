namespace SaeService.Api.Webhooks;

public static class WebhookSetup
{
    public static IServiceCollection AddWebhooks(this IServiceCollection services, ServiceSettings settings)
    {
        var options = new WebhookOptions { AllowPrivate = settings.WebhooksAllowPrivate };
        return services.AddSingleton(options).AddHostedService(provider =>
            ActivatorUtilities.CreateInstance<WebhookSender>(provider, WebhookConnection.Create(options.AllowPrivate, options.Timeout)));
    }
}
