"""A reader of a stream over a plain socket, so that the connection can be cut anywhere."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Event:
    kind: str
    id: str
    data: Any


@dataclass
class Following:
    """Collect the events of a stream over any number of connections; an event that was cut is not among them."""

    address: str
    token: str
    last: str = ""
    events: list[Event] = field(default_factory=list)
    comments: int = 0

    @property
    def lines(self) -> list[Any]:
        return [line for event in self.events if event.kind == "logs" for line in event.data]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].kind == "end"

    def read(self, *, most: float = float("inf"), until: Any = None, seconds: float = 30) -> bool:
        """One connection, cut after `most` bytes or once `until(self)`; whether the server ended it."""
        with self._connect(seconds) as connection, connection.makefile("rb") as stream:
            size = self._head(stream)
            text = b""
            for chunk in chunks(stream):
                size += len(chunk)
                if size > most:
                    chunk = chunk[: int(most - size)] if most - size + len(chunk) > 0 else b""  # noqa: PLW2901  # the rest of the loop reads the shortened chunk
                *whole, text = (text + chunk).split(b"\n\n")
                for block in whole:
                    self._take(block.decode())
                if size > most or (until and until(self)):
                    return False
            return True

    def _connect(self, seconds: float) -> socket.socket:
        parts = urlsplit(self.address)
        connection = socket.create_connection((parts.hostname, parts.port or 80), timeout=seconds)
        again = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        query = f"?{parts.query}" if parts.query else ""
        connection.sendall(
            f"GET {parts.path}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Token {self.token}\r\n"
            f"Accept: text/event-stream\r\n{again}Connection: close\r\n\r\n".encode()
        )
        return connection

    @staticmethod
    def _head(stream: Any) -> int:
        status = stream.readline()
        assert b" 200 " in status, status + stream.read(2_000)
        size = len(status)
        while (line := stream.readline()) not in {b"\r\n", b""}:
            size += len(line)
        return size

    def _take(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        self.comments += block.startswith(":")
        if "data" in fields:
            self.last = fields["id"]
            self.events.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))


def chunks(stream: Any) -> Iterator[bytes]:
    """Yield the bodies of a chunked response, and the rest of a chunk that was cut."""
    with suppress(ConnectionError):
        while size := stream.readline().strip():
            if not (length := int(size, 16)):
                return
            while length and (part := stream.read1(length)):
                length -= len(part)
                yield part
            stream.readline()
