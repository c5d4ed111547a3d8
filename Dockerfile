# The server: `docker build -t pastetrader .`, or as a part of compose.yaml. docs/operate.md has the rest.
ARG PYTHON=python:3.12.12-slim-bookworm

FROM ${PYTHON} AS packages
# 1 installs what traces need: `docker build --build-arg OTEL=1`, or OTEL=1 in .env.
ARG OTEL=0
COPY requirements.txt requirements-otel.txt /tmp/
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt \
    && if [ "$OTEL" = 1 ]; then /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r /tmp/requirements-otel.txt; fi

FROM ${PYTHON}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PASTETRADER_LOCAL=/var/lib/pastetrader
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin pastetrader \
    && install -d -o pastetrader -g pastetrader -m 700 /var/lib/pastetrader
COPY --from=packages /venv /venv
COPY . /app
WORKDIR /app
USER 10001
VOLUME /var/lib/pastetrader
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
