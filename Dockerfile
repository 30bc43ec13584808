# syntax=docker/dockerfile:1
# Targets: api, worker (CPU), worker-cuda, tools (the `sae` command: migrate, keys).
#   docker build --target api -t saeservice/api .
ARG DOTNET=10.0

FROM mcr.microsoft.com/dotnet/sdk:${DOTNET} AS source
WORKDIR /source
COPY global.json Directory.Build.props Directory.Build.targets Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY build build
COPY src src

FROM source AS publish-api
RUN --mount=type=cache,target=/root/.nuget/packages dotnet publish src/SaeService.Api -c Release -o /app

FROM source AS publish-tools
# The command line is built with the executables it can start; here only its own files are wanted.
RUN --mount=type=cache,target=/root/.nuget/packages dotnet publish src/SaeService.Cli -c Release -o /app

FROM source AS publish-worker
RUN --mount=type=cache,target=/root/.nuget/packages dotnet publish src/SaeService.Worker -c Release -o /app -p:TorchBackend=cpu

FROM source AS publish-worker-cuda
# libtorch for CUDA comes as some twenty packages that are put together in the package folder on the first build: one build at a time.
RUN --mount=type=cache,target=/root/.nuget/packages,sharing=locked dotnet publish src/SaeService.Worker -c Release -o /app -p:TorchBackend=cuda

# Ubuntu 24.04: its libstdc++ is new enough for TorchSharp as it is.
FROM mcr.microsoft.com/dotnet/aspnet:${DOTNET} AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends curl libgomp1 && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /data/artifacts /data/models /data/datasets /data/hub && chown -R $APP_UID:$APP_UID /data
ENV Artifacts__Root=/data/artifacts Models__Roots__0=/data/models Datasets__Roots__0=/data/datasets Bundled__Root=/bundle Hub__CacheFolder=/data/hub \
    DOTNET_gcServer=0 Serilog__Format=json
COPY src/SaeService.Sample/bundle /bundle
WORKDIR /app
VOLUME /data

FROM runtime AS api
COPY --from=publish-api /app .
USER $APP_UID
ENV ASPNETCORE_URLS=http://+:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=6 CMD curl -fsS http://127.0.0.1:8080/healthz/live || exit 1
ENTRYPOINT ["dotnet", "SaeService.Api.dll"]

FROM runtime AS worker
COPY --from=publish-worker /app .
USER $APP_UID
ENV ASPNETCORE_URLS=http://127.0.0.1:8081
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s --retries=6 CMD curl -fsS http://127.0.0.1:8081/healthz/live || exit 1
ENTRYPOINT ["dotnet", "SaeService.Worker.dll"]

# The CUDA libraries themselves come with libtorch; the driver comes from the host through the NVIDIA container toolkit.
FROM runtime AS worker-cuda
COPY --from=publish-worker-cuda /app .
USER $APP_UID
ENV ASPNETCORE_URLS=http://127.0.0.1:8081 Worker__Device=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s --retries=6 CMD curl -fsS http://127.0.0.1:8081/healthz/live || exit 1
ENTRYPOINT ["dotnet", "SaeService.Worker.dll"]

FROM runtime AS tools
COPY --from=publish-tools /app .
USER $APP_UID
ENTRYPOINT ["dotnet", "sae.dll"]
