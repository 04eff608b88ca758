# Two images from one file. The last stage, `app`, composes, renders, fetches data and serves: no torch in it.
# `train` adds what training needs, and TensorBoard.
#
#   docker build -t kapelle:app .
#   docker build -t kapelle:train --target train .
#   docker build -t kapelle:train-cuda --target train --build-arg TORCH=cuda .
#
#   PYTHON_VERSION  3.11, 3.12 or 3.13
#   TORCH           cpu, or a backend that uv knows (cu128, cu130, rocm6.4 ...); cuda: as the package index has it, which is with CUDA
#   PIP_ARGS        options for installing, such as another package index
#
# Cache mounts need BuildKit, which builds by default since Docker 23.

ARG PYTHON_VERSION=3.12

# --- what Kapelle needs ---------------------------------------------------------------------------------------------------

FROM python:${PYTHON_VERSION}-slim AS needs
ARG PIP_ARGS=""
ENV VIRTUAL_ENV=/opt/kapelle UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN --mount=type=cache,target=/root/.cache/pip pip install ${PIP_ARGS} "uv>=0.8" && uv venv ${VIRTUAL_ENV}
WORKDIR /source
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install ${PIP_ARGS} -c constraints.txt -r pyproject.toml --extra fluidsynth --extra data

FROM needs AS needs-train
ARG PIP_ARGS=""
ARG TORCH=cpu
RUN --mount=type=cache,target=/root/.cache/uv \
    case "${TORCH}" in cuda) backend="" ;; *) backend="--torch-backend=${TORCH}" ;; esac; \
    uv pip install ${PIP_ARGS} ${backend} -c constraints.txt -r pyproject.toml --extra train --extra wandb

# --- Kapelle itself: sources change more often than what they need, so they come last ----------------------------------------

FROM needs AS installed
ARG PIP_ARGS=""
COPY README.md LICENSE ./
COPY recipes recipes
COPY plans plans
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv uv pip install ${PIP_ARGS} --no-deps .

FROM needs-train AS installed-train
ARG PIP_ARGS=""
COPY README.md LICENSE ./
COPY recipes recipes
COPY plans plans
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv uv pip install ${PIP_ARGS} --no-deps .

# --- what runs: no compiler, no installer, no sources, nobody's secrets ------------------------------------------------------

FROM python:${PYTHON_VERSION}-slim AS base
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends make libfluidsynth3
RUN useradd --uid 1000 --create-home kapelle && chmod 755 /home/kapelle \
    && mkdir -p /kapelle/data /kapelle/runs /kapelle/out && chown -R kapelle:kapelle /kapelle
# Any user may run it: caches are in /tmp, and who has no name gets one. KAPELLE_BIN tells the Makefile that all is installed.
ENV PATH=/opt/kapelle/bin:${PATH} KAPELLE_BIN=/opt/kapelle/bin BIND=0.0.0.0 KAPELLE_STUDIO=/kapelle/out/studio PYTHONUNBUFFERED=1 \
    HOME=/home/kapelle LOGNAME=kapelle XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib \
    KAGGLEHUB_CACHE=/tmp/kagglehub HF_HOME=/tmp/huggingface
WORKDIR /kapelle
COPY Makefile ./
COPY examples/listening_page.py examples/
USER kapelle

FROM base AS train
COPY --from=installed-train /opt/kapelle /opt/kapelle
EXPOSE 6006
CMD ["make", "help"]

FROM base AS app
COPY --from=installed /opt/kapelle /opt/kapelle
EXPOSE 8000
CMD ["make", "serve"]
