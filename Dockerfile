# One image: the server (raftkv), its client (raftctl) and the API server (--entrypoint python raftkv -m resource_api).
# Build: docker build -t raftkv .
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY raftkv raftkv
COPY resource_api resource_api
COPY jepsen_like jepsen_like
COPY cli cli
RUN python -m venv /opt/raftkv && /opt/raftkv/bin/pip install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/raftkv /opt/raftkv
ENV PATH=/opt/raftkv/bin:$PATH PYTHONUNBUFFERED=1
# Owned by a number, so that orchestrators can check that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data raftkv && install -d -o 10001 -g 10001 -m 0700 /data
USER 10001:10001
# The default data directory is NAME.etcd in the working directory. No RAFTKV_* variable is set here: a variable and a flag for
# the same setting are refused, and a container is usually configured by flags.
WORKDIR /data
VOLUME /data
EXPOSE 2379 2380
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["raftctl", "--endpoints=127.0.0.1:2379", "endpoint", "health"]
ENTRYPOINT ["raftkv"]
CMD ["--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://localhost:2379"]
