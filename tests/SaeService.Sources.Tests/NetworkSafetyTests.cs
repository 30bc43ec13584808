using System.Net;
using Xunit;

namespace SaeService.Sources.Tests;

/// <summary>Where requests may go, whatever a server or a name says.</summary>
public sealed class NetworkSafetyTests : HubTestBase
{
    [Fact]
    public async Task A_redirect_to_a_host_that_is_not_allowed_is_not_followed()
    {
        AddTiny();
        var port = new Uri("http://" + Hub.CdnHost).Port;
        using var hub = new HubSource(Settings(hosts: ["*.hf.co", $"localhost:{port}"]));
        await FaultAsync(SourceFault.Refused, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Empty(Hub.CdnRequests);
    }

    [Theory]
    [InlineData("http://169.254.169.254/latest/meta-data/")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://127.0.0.1/")]
    [InlineData("http://127.0.0.1:1/")]
    [InlineData("http://user@{0}/lfs/x")]
    [InlineData("http://127.0.0.1.evil.example/")]
    [InlineData("//evil.example/x")]
    public async Task Nor_is_one_to_anywhere_else(string location)
    {
        AddTiny();
        Hub.Intercept = (context, cdn) =>
        {
            if (!context.Request.Path.Value!.EndsWith("model.safetensors", StringComparison.Ordinal))
                return Task.FromResult(false);
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = string.Format(System.Globalization.CultureInfo.InvariantCulture, location, Hub.CdnHost);
            return Task.FromResult(true);
        };
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.Refused, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Empty(Hub.CdnRequests);
    }

    [Fact]
    public async Task Redirects_end()
    {
        AddTiny();
        Hub.Intercept = (context, _) =>
        {
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = context.Request.Path.Value + "x";
            return Task.FromResult(true);
        };
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.Refused, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Equal(new HttpLimits().MaxRedirects + 1, Hub.Requests.Count);
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("127.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("::1")]
    public async Task A_public_name_that_leads_inside_is_refused(string address)
    {
        var asked = new List<string>();
        using var hub = new HubSource(new SourceSettings { Enabled = true, CacheFolder = CacheFolder, Token = Token }, (host, _) =>
        {
            asked.Add(host);
            return Task.FromResult<IPAddress[]>([IPAddress.Parse(address)]);
        });
        var e = await FaultAsync(SourceFault.Refused, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Contains("public Internet", e.Message, StringComparison.Ordinal);
        Assert.Equal(["huggingface.co"], asked);
    }

    [Fact]
    public async Task An_answer_is_read_no_further_than_it_may_be()
    {
        AddTiny();
        Hub.Intercept = async (context, _) =>
        {
            // Endless, without a length.
            while (!context.RequestAborted.IsCancellationRequested)
                await context.Response.Body.WriteAsync(new byte[1 << 20], context.RequestAborted);
            return true;
        };
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.Refused, () => hub.ListAsync(Tiny, "main", brief: false, Ct));
    }

    [Theory]
    [InlineData("https://huggingface.co/x", true)]
    [InlineData("https://cdn-lfs.huggingface.co/x", true)]
    [InlineData("https://cas-bridge.xethub.hf.co/x?y", true)]
    [InlineData("https://HF.CO/x", true)]
    [InlineData("http://huggingface.co/x", false)]
    [InlineData("https://huggingface.co:8443/x", false)]
    [InlineData("https://evilhf.co/x", false)]
    [InlineData("https://hf.co.evil.example/x", false)]
    [InlineData("https://huggingface.co@evil.example/x", false)]
    [InlineData("ftp://huggingface.co/x", false)]
    public void The_hub_s_own_hosts_are_told_from_others(string uri, bool good)
    {
        Assert.Equal(good, SourceSettings.Read(_ => null, _ => null).HubHosts.Allows(new Uri(uri)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("*.")]
    [InlineData("*.co")]
    [InlineData("a.*.b")]
    [InlineData("https://a.b")]
    [InlineData("a.b/c")]
    [InlineData("a b")]
    [InlineData("*.10.0.0.1")]
    public void A_rule_that_is_none_is_refused_by_name(string rule)
    {
        var e = Assert.Throws<FormatException>(() => SourceSettings.Read(key => key == "Hub:AllowedHosts:0" ? rule : null, _ => null));
        Assert.Contains("Hub:AllowedHosts", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_a_host_that_was_named_may_be_private()
    {
        var rules = new HostRules([new Uri("https://mirror.example")], ["cache.lan:8080", "*.lan.example"], originsNamed: true, hostsNamed: true);
        Assert.True(rules.AllowsPrivate("mirror.example"));
        Assert.True(rules.AllowsPrivate("CACHE.lan"));
        Assert.False(rules.AllowsPrivate("a.lan.example"));
        Assert.False(SourceSettings.Read(_ => null, _ => null).HubHosts.AllowsPrivate("huggingface.co"));
        Assert.True(SourceSettings.Read(key => key == "Hub:Endpoint" ? "http://hub.lan:8080" : null, _ => null).HubHosts.AllowsPrivate("hub.lan"));
        Assert.False(rules.Allows(new Uri("http://cache.lan:8080")));
        Assert.True(rules.Allows(new Uri("https://cache.lan:8080")));
        Assert.False(rules.Allows(new Uri("https://cache.lan")));
    }

    [Fact]
    public void Settings_come_from_the_configuration_first_then_from_the_environment_that_hugging_face_s_tools_know()
    {
        var environment = new Dictionary<string, string> { ["HF_TOKEN"] = "hf_env", ["HF_HOME"] = "/data/hf", ["HF_HUB_OFFLINE"] = "1", ["HF_ENDPOINT"] = "https://mirror.example/hf/" };
        var set = new Dictionary<string, string>();
        SourceSettings Read() => SourceSettings.Read(set.GetValueOrDefault, environment.GetValueOrDefault);
        var settings = Read();
        Assert.Equal((false, "hf_env", Path.GetFullPath("/data/hf/hub"), true, "https://mirror.example/hf"),
            (settings.Enabled, settings.Token, settings.CacheFolder, settings.Offline, settings.Endpoint.AbsoluteUri));
        set["Hub:Token"] = "hf_set";
        set["Hub:Offline"] = "false";
        set["Hub:Enabled"] = "True";
        environment["HF_HUB_CACHE"] = "/data/cache";
        settings = Read();
        Assert.Equal((true, "hf_set", Path.GetFullPath("/data/cache"), false), (settings.Enabled, settings.Token, settings.CacheFolder, settings.Offline));
        environment.Clear();
        environment["XDG_CACHE_HOME"] = "/x";
        Assert.Equal(Path.GetFullPath("/x/huggingface/hub"), Read().CacheFolder);

        foreach (var (key, value) in new[]
        {
            ("Hub:Enabled", "perhaps"), ("Hub:Endpoint", "huggingface.co"), ("Hub:Endpoint", "ftp://x"), ("Hub:Endpoint", "https://u:p@x"), ("Hub:MaxBytes", "-1"), ("Hub:MaxBytes", "10 GB"),
            ("Hub:Token", "a\nb"), ("Annotator:Url", "x"),
        })
        {
            set.Clear();
            set[key] = value;
            Assert.Contains(key, Assert.Throws<FormatException>(Read).Message, StringComparison.Ordinal);
        }
    }
}
