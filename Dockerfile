# recsysd in a container: built in one stage, run in another that has the libraries and no compiler.
#
#   docker build -t recsysd .
#   docker run -p 127.0.0.1:8080:8080 -v recsysd:/var/lib/recsysd recsysd
#
# Inside, the daemon listens on every address, because a published port arrives on none of the
# loopback ones; who may reach it is decided by what -p publishes (docs/OPERATIONS.md).

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev meson ninja-build pkg-config \
       libmicrohttpd-dev libjansson-dev libsqlite3-dev libopenblas-pthread-dev libinih-dev \
       libxxhash-dev libsystemd-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN meson setup /build /src --buildtype=release --prefix=/usr -Dtests=false --strip \
    && meson compile -C /build \
    && DESTDIR=/out meson install -C /build --no-rebuild

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmicrohttpd12 libjansson4 libsqlite3-0 \
       libopenblas0-pthread libinih1 libsystemd0 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 recsysd \
    && useradd --uid 10001 --gid recsysd --no-create-home --home-dir /var/lib/recsysd \
       --shell /usr/sbin/nologin recsysd \
    && install -d -o recsysd -g recsysd -m 0750 /var/lib/recsysd
COPY --from=build /out/usr/bin/recsysd /usr/bin/recsysd

# Settings are variables here, so that `docker run -e RECSYSD_...` changes any of them, for the
# daemon and for the health check alike.
ENV RECSYSD_DB=/var/lib/recsysd/recsysd.db \
    RECSYSD_LISTEN=0.0.0.0:8080 \
    RECSYSD_ALLOW_REMOTE=true \
    RECSYSD_CREATE=true
USER recsysd
WORKDIR /var/lib/recsysd
VOLUME /var/lib/recsysd
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["recsysd", "healthcheck"]
ENTRYPOINT ["recsysd"]
CMD ["serve"]
