# One image for the API, the worker and the migrations: docker build -t holdfast .
# It holds no server of its own and no secret; docker-compose.yml shows how it is run.

FROM python:3.11-slim AS build
RUN python -m venv /opt/holdfast
COPY requirements/server.txt /tmp/
RUN /opt/holdfast/bin/pip install --no-cache-dir --require-hashes -r /tmp/server.txt

FROM python:3.11-slim
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOLDFAST_HOST=0.0.0.0 \
    HOLDFAST_PORT=8000
WORKDIR /app
COPY --from=build /opt/holdfast /opt/holdfast
COPY activities activities
COPY api api
COPY config config
COPY holdfast holdfast
COPY storage storage
COPY worker worker
COPY workflows workflows
RUN python -m compileall -q .

# A number, so that a cluster can tell it is not root; the code stays root's and read-only.
USER 10001:10001
EXPOSE 8000
# For the API; whatever else the image runs has its own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/system/health', timeout=4)"]
CMD ["python", "-m", "api"]
