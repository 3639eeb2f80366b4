# The server with DuckDB's library and extensions: docker build -t merganser .
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY scripts scripts
RUN ./scripts/fetch-duckdb.sh
COPY . .
RUN cargo build --release --locked --bin merganser

FROM debian:bookworm-slim
# The certificates are for stores with TLS, curl asks whether the server is ready.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/merganser merganser
# The program looks for both in ../lib/merganser.
COPY --from=build /src/.deps/duckdb/lib/libduckdb.so /usr/local/lib/merganser/
COPY --from=build /src/.deps/duckdb/extensions /usr/local/lib/merganser/extensions
COPY --from=build /src/target/release/merganser /usr/local/bin/
USER merganser
VOLUME /var/lib/merganser
ENV MERGANSER_HOME=/var/lib/merganser/lakehouse MERGANSER_LISTEN=0.0.0.0:31337 MERGANSER_HTTP=0.0.0.0:9090
EXPOSE 31337 9090
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:9090/readyz"]
ENTRYPOINT ["merganser"]
CMD ["serve"]
