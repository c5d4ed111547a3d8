"""Traces by OpenTelemetry, sent to a receiver on 127.0.0.1."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from executions.tests.upkeep.test_upkeep import database_url
from pastetrader.tests.live_server import ROOT

TRACE = "0af7651916cd43dd8448eb211c80319c"
ASK = """
import asyncio
from opentelemetry import trace
from pastetrader.asgi import application

async def ask(path):
    async def receive():
        return {"type": "http.request", "body": b""}
    async def send(message):
        if "status" in message:
            print(message["status"])
    headers = [(b"host", b"localhost"), (b"authorization", b"Token ptl_x")]
    headers.append((b"traceparent", b"00-%s-b7ad6b7169203331-01"))
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await application(scope, receive, send)

asyncio.run(ask("/api/v1/executions/"))
asyncio.run(ask("/healthz"))
trace.get_tracer_provider().shutdown()
"""


class Receiver(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_request_and_its_statements_are_spans_of_the_callers_trace(receiver: Receiver) -> None:
    address = f"http://127.0.0.1:{receiver.server_address[1]}"
    code = ASK.replace("%s", TRACE)
    done = run(
        code, DATABASE_URL=database_url(), OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_COMPRESSION="none"
    )
    assert done.stdout.split() == ["401", "200"], done.stderr
    spans = [
        span
        for body in receiver.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    [server] = [span for span in spans if span.kind == span.SPAN_KIND_SERVER]
    assert server.trace_id.hex() == TRACE
    statements = [
        span for span in spans if span.kind == span.SPAN_KIND_CLIENT and span.parent_span_id == server.span_id
    ]
    assert "SELECT" in {span.name for span in statements}


@pytest.mark.slow
def test_missing_packages_are_named() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import pastetrader.asgi"
    done = run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert "opentelemetry is missing: pip install --require-hashes -r requirements-otel.txt" in done.stderr
