using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;

namespace SaeService.Storage;

/// <summary>How a process gets at the database and the artifact store.</summary>
public static class StorageSetup
{
    /// <summary>
    /// One <see cref="NpgsqlDataSource"/>, an <see cref="IDbContextFactory{TContext}"/> over a pool of contexts, and a scoped
    /// <see cref="SaeDbContext"/> from that pool.
    /// </summary>
    public static IServiceCollection AddSaeStorage(this IServiceCollection services, string connectionString)
    {
        services.AddSingleton(_ => NpgsqlDataSource.Create(connectionString));
        services.AddPooledDbContextFactory<SaeDbContext>((provider, options) => Configure(options, provider.GetRequiredService<NpgsqlDataSource>()));
        services.TryAddScoped(provider => provider.GetRequiredService<IDbContextFactory<SaeDbContext>>().CreateDbContext());
        return services;
    }

    /// <param name="root">Folder of the artifacts; made where it does not exist.</param>
    public static IServiceCollection AddSaeArtifacts(this IServiceCollection services, string root) => services.AddSingleton(new ArtifactStore(root));

    public static DbContextOptionsBuilder Configure(DbContextOptionsBuilder options, NpgsqlDataSource source) =>
        options.UseNpgsql(source).UseSnakeCaseNamingConvention();

    public static DbContextOptionsBuilder Configure(DbContextOptionsBuilder options, string connectionString) =>
        options.UseNpgsql(connectionString).UseSnakeCaseNamingConvention();
}

/// <summary>For <c>dotnet ef migrations add NAME --project src/SaeService.Storage</c>, which needs the model and no database.</summary>
public sealed class DesignTimeContextFactory : IDesignTimeDbContextFactory<SaeDbContext>
{
    public SaeDbContext CreateDbContext(string[] args)
    {
        var options = new DbContextOptionsBuilder<SaeDbContext>();
        StorageSetup.Configure(options, "Host=localhost;Database=sae");
        return new SaeDbContext(options.Options);
    }
}
