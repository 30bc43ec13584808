using Xunit;

namespace SaeService.Storage.Tests;

public sealed class PostgresDownloadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sae-download-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_newest_server_is_taken_or_the_one_that_made_the_cluster()
    {
        const string found =
            """
            postgresql-9 - not a server that anybody has
            postgresql-15 - The World's Most Advanced Open Source Relational Database
            postgresql-13 - The World's Most Advanced Open Source Relational Database
            """;
        Assert.Equal(15, PostgresDownload.Select(found, null));
        Assert.Equal(13, PostgresDownload.Select(found, 13));
        Assert.Null(PostgresDownload.Select(found, 17));
        Assert.Null(PostgresDownload.Select("", null));
        Assert.Null(PostgresDownload.Select("postgresql-15-pgvector - an extension\nlibpostgresql-15 - no server", null));
    }

    [Fact]
    public void Of_what_apt_would_install_the_server_and_its_libraries_are_needed()
    {
        const string simulation =
            """
            NOTE: This is only a simulation!
            The following NEW packages will be installed:
              libpq5 perl postgresql-15
            Inst perl-base [5.36.0-7] (5.36.0-7+deb12u2 Debian:12/stable [amd64]) []
            Inst libperl5.36 (5.36.0-7+deb12u2 Debian:12/stable [amd64])
            Inst libc6 [2.36-9] (2.36-9+deb12u10 Debian:12/stable [amd64])
            Inst libjson-perl (4.10000-1 Debian:12/stable [all])
            Inst libpq5 (15.13-0+deb12u1 Debian:12/stable [amd64])
            Inst libssl3 [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian:12/stable [amd64]) [openssl:amd64 ]
            Inst libz3-4 (4.8.12-3.1 Debian:12/stable [amd64])
            Inst libllvm14 (1:14.0.6-12 Debian:12/stable [amd64])
            Inst postgresql-client-15 (15.13-0+deb12u1 Debian:12/stable [amd64])
            Inst postgresql-common (248+deb12u1 Debian:12/stable [all])
            Inst postgresql-15 (15.13-0+deb12u1 Debian:12/stable [amd64])
            Conf libpq5 (15.13-0+deb12u1 Debian:12/stable [amd64])
            """;
        Assert.Equal(["libpq5=15.13-0+deb12u1", "libssl3=3.0.16-1~deb12u1", "postgresql-15=15.13-0+deb12u1"], PostgresDownload.Needed(simulation, 15));
    }

    [Fact]
    public void Only_what_was_fetched_whole_is_found_again_newest_first()
    {
        Assert.Empty(PostgresDownload.Fetched(Path.Combine(_folder, "absent")));
        Directory.CreateDirectory(Path.Combine(_folder, "unfinished", "root", "usr"));
        Directory.CreateDirectory(Path.Combine(_folder, "9"));
        var libraries = Directory.CreateDirectory(Path.Combine(_folder, "15", "usr", "lib", "x86_64-linux-gnu")).FullName;
        Directory.CreateDirectory(Path.Combine(_folder, "15", "usr", "lib", "postgresql", "15", "bin"));
        var found = PostgresDownload.Fetched(_folder).ToList();
        Assert.Equal(["15", "9"], found.Select(x => Path.GetRelativePath(_folder, x.Programs).Split(Path.DirectorySeparatorChar)[0]));
        Assert.Equal(Path.Combine(_folder, "15", "usr", "lib", "postgresql", "15", "bin"), found[0].Programs);
        Assert.Equal([Path.GetDirectoryName(libraries)!, libraries], found[0].Libraries.Split(':'));
        Assert.Equal("", found[1].Libraries);
    }

    [Fact]
    public async Task What_is_fetched_makes_a_cluster_and_a_failure_leaves_nothing()
    {
        if (Environment.GetEnvironmentVariable("SAE_TEST_DOWNLOAD") is not { Length: > 0 })
            Assert.Skip("fetches 20 MB from this machine's package sources; set SAE_TEST_DOWNLOAD=1 to have it run");
        if (!PostgresDownload.IsPossible)
            Assert.Skip("this machine has no apt");
        var said = new List<string>();
        var downloads = Path.Combine(_folder, "binaries");
        var error = await Assert.ThrowsAsync<PostgresUnavailableException>(() => PostgresDownload.FetchAsync(downloads, 1, said.Add, Token));
        Assert.Contains("no PostgreSQL 1, which made the cluster", error.Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(downloads));

        await PostgresDownload.FetchAsync(downloads, null, said.Add, Token);
        Assert.Contains(downloads, said[0]);
        var (programs, libraries) = Assert.Single(PostgresDownload.Fetched(downloads));
        Assert.Equal(Path.Combine(downloads, Path.GetFileName(Path.GetDirectoryName(programs)!)),
            Assert.Single(Directory.EnumerateFileSystemEntries(downloads)));

        // As root another user runs them.
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);
        var user = ServiceUser.ForRoot();
        var cluster = Directory.CreateDirectory(Path.Combine(_folder, "cluster")).FullName;
        if (user is not null)
            await user.OwnAsync(cluster, Token);
        var opened = new PostgresPrograms(programs, libraries, 0);
        var (code, output) = await Programs.RunAsync([.. opened.Command("initdb"), "-D", cluster, "--no-locale", "--no-sync"], user, Token);
        Assert.True(code == 0, output);
        Assert.True(File.Exists(Path.Combine(cluster, "PG_VERSION")));
    }
}
