# docker build -t itslive-dashboard . && docker run -p 5006:5006 itslive-dashboard
FROM python:3.11-slim

RUN useradd --create-home app
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY itslive_core itslive_core
COPY dashboard dashboard
COPY assets assets
RUN pip install --no-cache-dir -c constraints.txt .

# Kernels are compiled here, for any processor of this architecture, so that no visitor waits for them.
ENV NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/itslive-kernels
RUN python -c 'from itslive_core import warm_up; warm_up()' && chown -R app /opt/itslive-kernels

# Results of whole glaciers: mount a volume here, or they go with the container.
ENV ITSLIVE_RESULTS=/home/app/results
RUN install -d -o app -g app "$ITSLIVE_RESULTS"

USER app
EXPOSE 5006
ENV PORT=5006
# Public: visitors are strangers (SECURITY.md). ORIGIN is the name in their address bar; behind a proxy, see deploy/.
CMD ["sh", "-c", "exec itslive-dashboard --public --address 0.0.0.0 --port $PORT --allow-websocket-origin ${ORIGIN:-localhost:$PORT}"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import os, urllib.request; urllib.request.urlopen(f'http://localhost:{os.environ[\"PORT\"]}/health', timeout=4)"
