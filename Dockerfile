# syntax=docker/dockerfile:1
# One image for every role: the `berth` binary on a base without a shell, not as root.

ARG RUST_VERSION=1.95

# What the dependencies are built from: manifests, and programs that do nothing. It changes when a manifest does.
FROM rust:${RUST_VERSION}-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
      ! -path '*/src/sabotage.rs' ! -path '*/src/bin/*' -delete \
    && find . -name '*.rs' -exec sh -c 'echo "fn main() {}" > "$1"' _ {} \;

FROM rust:${RUST_VERSION}-bookworm AS build
WORKDIR /src
COPY --from=manifests /src .
RUN cargo build --release --locked --bin berth
COPY . .
# What berth_build_info tells: BERTH_BUILD_COMMIT=$(git rev-parse HEAD) docker compose build
ARG BERTH_BUILD_COMMIT=
# Cargo goes by time, and a file of the repository may be older than the program that did nothing.
RUN find . -name '*.rs' -exec touch {} + \
    && BERTH_BUILD_COMMIT="$BERTH_BUILD_COMMIT" cargo build --release --locked --bin berth \
    && install -D -s target/release/berth /out/usr/local/bin/berth \
    && install -d -o 65532 -g 65532 -m 0700 /out/var/lib/berth /out/var/lib/berth-keys

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out /
ENV BERTH_DATA_DIR=/var/lib/berth \
    BERTH_KEYS_DIR=/var/lib/berth-keys
USER 65532:65532
WORKDIR /var/lib/berth
EXPOSE 4000 4101 4102 4103 4104 4105
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["/usr/local/bin/berth", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/berth"]
CMD ["serve"]
