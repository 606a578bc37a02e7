# syntax=docker/dockerfile:1

# The gateway, which is the last stage and so the one that is made without --target:
#   docker build -t colonnade:0.1.0 .
# The stand-in services, for deploy/compose.yaml alone:
#   docker build --target upstream -t colonnade-upstream:0.1.0 .

# Distroless has no tag for a version: this one moves with Debian's security updates. Who ships an image
# names what it stands on: --build-arg RUNTIME=gcr.io/distroless/cc-debian12@sha256:...
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

# The same Debian as the runtime's, so that the same glibc.
FROM rust:1.95.0-bookworm AS source
WORKDIR /src
COPY . .

FROM source AS build
# Caches, not layers: a change of one file compiles what depends on it and nothing else.
# Lines of the debugger are most of the file; names of functions stay, for a backtrace.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --profile dist --package colonnade --features otel && \
    cargo run --locked --quiet --package xtask -- sbom --features otel --out /out/doc && \
    install -D --mode=0755 target/dist/colonnade /out/colonnade && \
    strip --strip-debug /out/colonnade && \
    install -D --mode=0644 LICENSE /out/doc/LICENSE && \
    install -d --mode=0700 /out/state

FROM source AS build-upstream
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --package colonnade-upstream && \
    install -D --mode=0755 target/release/colonnade-upstream /out/colonnade-upstream && \
    strip --strip-debug /out/colonnade-upstream

FROM ${RUNTIME} AS upstream
COPY --from=build-upstream /out/colonnade-upstream /colonnade-upstream
USER 65532:65532
EXPOSE 9101 9102 9103
# The one signal that it ends by.
STOPSIGNAL SIGINT
ENTRYPOINT ["/colonnade-upstream"]
CMD ["--calls", "0.0.0.0:9101", "--coach", "0.0.0.0:9102", "--leads", "0.0.0.0:9103"]

# glibc, certificates, the binary and what is to be said about it: no shell, no package manager.
FROM ${RUNTIME} AS gateway
LABEL org.opencontainers.image.title="Colonnade" \
      org.opencontainers.image.description="An API-key gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
# What is inside it, as CycloneDX, and the licences of all of it.
COPY --from=build /out/doc /usr/share/doc/colonnade
COPY --from=build /out/colonnade /colonnade
# The one folder that it writes to, for a volume to take its owner from: database or snapshot.
COPY --from=build --chown=65532:65532 /out/state /var/lib/colonnade
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
# Mount the configuration here. Inside a container set the proxy's and telemetry's addresses to 0.0.0.0.
ENV COLONNADE_CONFIG=/etc/colonnade/gateway.yaml
EXPOSE 8080 8081 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 CMD ["/colonnade", "health"]
ENTRYPOINT ["/colonnade"]
CMD ["run"]
