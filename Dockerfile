# The service in a container. Build: docker build -t firstday .
# Run: docker run -p 8000:8000 -v "$PWD/model:/model:ro" -v firstday-users:/data \
#          -e FIRSTDAY_SERVE_READ_KEYS=... -e FIRSTDAY_SERVE_WRITE_KEYS=... -e FIRSTDAY_SERVE_ADMIN_KEYS=... firstday
# With the libraries that train, for the nightly refresh; without a GPU, torch's CPU build spares 3 GB:
#      docker build -t firstday-train --build-arg EXTRAS=train \
#          --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
# Run: docker run -v "$PWD/tables:/tables:ro" -v "$PWD/models:/models" firstday-train refresh /tables --out /models/model
FROM python:3.12-slim

ARG EXTRAS=redis,postgres
ARG TORCH_INDEX=
WORKDIR /app
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY src ./src
# uv checks the hashes of the lock. torch's builds differ in theirs, so one from another index comes first, alone.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock | pip install --no-cache-dir --require-hashes --requirement /dev/stdin \
    && if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" \
        "$(grep -o '^torch==[0-9.]*' requirements.lock)"; fi \
    && uv pip install --system --no-cache --compile-bytecode --constraint requirements.lock \
        --build-constraint requirements.lock ".[$EXTRAS]" \
    && pip uninstall --yes uv \
    && useradd --system --uid 10001 --no-create-home firstday \
    && install --directory --owner=firstday --mode=0700 /data

USER firstday
# Reachable from outside the container, so it starts only with keys.
ENV FIRSTDAY_SERVE_HOST=0.0.0.0 \
    FIRSTDAY_SERVE_PORT=8000 \
    FIRSTDAY_SERVE_STORE=sqlite:////data/users.sqlite
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the service; other commands are over before it matters.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['FIRSTDAY_SERVE_PORT']}/healthz\", timeout=2)"]
ENTRYPOINT ["firstday"]
CMD ["serve", "/model"]
