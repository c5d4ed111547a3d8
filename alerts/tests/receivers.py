"""Receivers of messages for tests: an HTTP server that answers as it is told, and an SMTP server."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are the next statuses, with headers; then 204. While `hold` is cleared, it does not answer."""

    address: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            receiver.came.set()
            receiver.hold.wait(30)
            status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_args: Any) -> None:
            pass  # the sender may be gone

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.address = f"http://127.0.0.1:{server.server_port}/hook?key=hidden"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        receiver.hold.set()
        server.shutdown()


@dataclass
class Mailbox:
    port: int = 0
    mails: list[str] = field(default_factory=list)
    refusals: int = 0  # of the next mails


@contextmanager
def smtp_server() -> Iterator[Mailbox]:
    mailbox = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 test")
            while line := self.rfile.readline().decode().strip():
                if line.upper() == "DATA":
                    self.take()
                elif line.upper() == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def take(self) -> None:
            self.say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            text = b"".join(lines).decode()
            if mailbox.refusals:
                mailbox.refusals -= 1
                self.say("451 later")
            else:
                mailbox.mails.append(text)
                self.say("250 taken")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Session) as server:
        mailbox.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield mailbox
        server.shutdown()
