# The program in an image without anything else. `docker build -t clusterlocal .`
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Static, with the C library of the build image: what .ci/static checks.
ENV RUSTFLAGS="-C target-feature=+crt-static"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
  && cargo build --locked --profile image -p clusterlocal-program --target "$target" \
  && strip -o /clusterlocal "target/$target/image/clusterlocal"

FROM scratch
COPY --from=build /clusterlocal /clusterlocal
COPY LICENSE-MIT LICENSE-APACHE /
# Containers cannot reach 127.0.0.0/8 of each other. The API stays at loopback: it does not authenticate.
ENV CLUSTERLOCAL_LISTEN=0.0.0.0:53 \
    CLUSTERLOCAL_POD_CIDR=10.244.0.0/16,fd00:10:244::/64 \
    CLUSTERLOCAL_SERVICE_CIDR=10.96.0.0/16,fd00:10:96::/112
USER 65532:65532
EXPOSE 53/udp 53/tcp
# At the address of CLUSTERLOCAL_LISTEN; 3 s is more than the 2 s that `health` waits.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 CMD ["/clusterlocal", "health"]
ENTRYPOINT ["/clusterlocal"]
# The manifests are mounted at /zones.
CMD ["serve", "/zones"]
