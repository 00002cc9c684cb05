# A worker: the package with its worker extra, run by a user without rights.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY streams streams
COPY detectors detectors
RUN python -m venv /opt/driftline \
 && /opt/driftline/bin/pip install --no-cache-dir --constraint constraints.txt '.[worker]'
# Compiled here, once; a worker on another kind of processor compiles anew.
ENV NUMBA_CACHE_DIR=/opt/driftline/kernels
RUN /opt/driftline/bin/python -c 'from streams.rehearsal import rehearse; rehearse()'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="driftline" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/opt/driftline/kernels
USER 10001:10001
EXPOSE 9464
ENTRYPOINT ["driftline"]
CMD ["worker", "--config", "/etc/driftline/driftline.yaml"]
