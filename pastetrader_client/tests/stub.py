"""A server that answers `POST events/` as a test wants it, and remembers the facts that it has taken. Each run that is
read of it is one without nodes."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

type Reply = tuple[int, dict[str, str]]


class Stub:
    """`reply` decides the status and headers of each call by its size, `status_of` the status by its facts; only facts
    of a call with 200 are taken."""

    def __init__(self, port: int = 0) -> None:
        self.reply: Callable[[int], Reply] = lambda _size: (200, {})
        self.status_of: Callable[[list[dict[str, Any]]], int] = lambda _facts: 200
        self.facts: list[dict[str, Any]] = []
        self.calls: list[tuple[float, int]] = []
        self.compressed: list[int] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    stub.compressed.append(len(body))
                    body = gzip.decompress(body)
                stub.calls.append((time.monotonic(), len(body)))
                status, headers = stub.reply(len(body))
                facts = json.loads(body)
                status = stub.status_of(facts) if status == 200 else status
                if status == 200:
                    stub.facts += facts
                answer = {"applied": len(facts), "known": 0, "refused": 0, "refusals": [], "notices": []}
                self.answer(status, headers, answer if status == 200 else {"detail": "as the test wants it"})

            def do_GET(self) -> None:
                self.answer(200, {}, {"attempt": 1, "workflow_name": "w", "nodes": []})

            def answer(self, status: int, headers: dict[str, str], document: Any) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 50

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = Thread(target=lambda: self.server.serve_forever(poll_interval=0.02), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[str]:
        return [fact["message"] for fact in self.facts if fact["kind"] == "log"]

    @property
    def kinds(self) -> list[str]:
        return [fact["kind"] for fact in self.facts]

    def twice(self) -> set[str]:
        """Return the ids of lines that were taken more than once."""
        lines = Counter(fact["id"] for fact in self.facts if fact["kind"] == "log")
        return {id for id, times in lines.items() if times > 1}

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def stub_ledger(port: int = 0) -> Iterator[Stub]:
    stub = Stub(port)
    try:
        yield stub
    finally:
        stub.end()
