# syntax=docker/dockerfile:1
# A Ray node that trains: Flywheel with the extras [train] and [ray] alone, for a machine with GPUs.
#
#   docker build --file deploy/trainer.Dockerfile --tag flywheel-trainer .
#   docker run --gpus all --network host --shm-size 2g --volume cache:/var/lib/flywheel/cache \
#     --env RAY_AUTH_MODE=token --env RAY_AUTH_TOKEN=... flywheel-trainer --address HEAD:6379
#
# The head is the same image: `flywheel-trainer --head --num-cpus 0 --num-gpus 0 --resources {}`.
# The exchange (FLYWHEEL_TRAIN_EXCHANGE beside Dagster) must be reachable from here under the same
# URL: a shared folder mounted at the same path, or an object store. Bases stay in the cache volume.
#
# CUDA is no part of the base image: the locked wheels bring CUDA 13.0 (cuda-toolkit, nvidia-*, all
# by hash), and the host its driver (580 or newer) through the NVIDIA container toolkit.
# From another registry: --build-arg BASE=registry.example.com/python:3.11.14-slim-trixie
ARG BASE=python:3.11.14-slim-trixie
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir "uv>=0.9,<1" && python -m venv /opt/flywheel
WORKDIR /src
# The locked packages first: a change in the project leaves this layer as it is.
COPY deploy/environments/trainer.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    VIRTUAL_ENV=/opt/flywheel uv pip install --no-deps --require-hashes --compile-bytecode \
    --requirement trainer.lock
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    VIRTUAL_ENV=/opt/flywheel uv pip install --no-deps --compile-bytecode .

FROM ${BASE}
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/flywheel flywheel \
    && mkdir --parents /var/lib/flywheel/cache \
    && chown --recursive flywheel:flywheel /var/lib/flywheel
COPY --from=build /opt/flywheel /opt/flywheel
WORKDIR /var/lib/flywheel
ENV PATH=/opt/flywheel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    # A training that is stopped saves a checkpoint first.
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=60 \
    OMP_WAIT_POLICY=PASSIVE \
    FLYWHEEL_CACHE=/var/lib/flywheel/cache
VOLUME /var/lib/flywheel/cache
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://localhost:52365/api/local_raylet_healthz')"]
ENTRYPOINT ["ray", "start", "--block", "--disable-usage-stats", "--resources", "{\"trainer\": 1}"]
CMD ["--help"]
