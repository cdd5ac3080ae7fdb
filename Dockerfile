# The whole service in one image: `dermastream <command>`, and Prefect's server.
# Pin the base by digest before production: a tag can be moved.

FROM python:3.12.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/dermastream
WORKDIR /src
COPY .ci/requirements.lock .ci/requirements.lock
# --no-deps: the lock is complete, and nothing outside it may come in
RUN /opt/dermastream/bin/pip install --require-hashes --no-deps -r .ci/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY producers producers
COPY warehouse warehouse
COPY dashboards dashboards
COPY flows flows
RUN /opt/dermastream/bin/pip install --no-deps . && /opt/dermastream/bin/pip check

FROM python:3.12.12-slim-bookworm
RUN groupadd --gid 10001 dermastream \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dermastream dermastream \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/dermastream
COPY --from=build /opt/dermastream /opt/dermastream
ENV PATH=/opt/dermastream/bin:$PATH \
    MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=1048576 ARROW_DEFAULT_MEMORY_POOL=system \
    NUMBA_CACHE_DIR=/var/lib/dermastream/.numba \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DERMASTREAM_HOME=/var/lib/dermastream
USER 10001:10001
WORKDIR /var/lib/dermastream
VOLUME /var/lib/dermastream
ENTRYPOINT ["dermastream"]
CMD ["--help"]
