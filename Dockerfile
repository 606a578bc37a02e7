# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Caches, not layers: a change of one file compiles what depends on it and nothing else.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --package colonnade && \
    install -D target/dist/colonnade /out/colonnade

# glibc, its certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /out/colonnade /colonnade
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
# Mount the configuration here. Inside a container set the proxy's and telemetry's addresses to 0.0.0.0.
ENV COLONNADE_CONFIG=/etc/colonnade/gateway.yaml
EXPOSE 8080 8081 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 CMD ["/colonnade", "health"]
ENTRYPOINT ["/colonnade"]
CMD ["run"]
