"""Viewers of a run, for benches.live: one process that reads many streams and discards the data."""

import multiprocessing
import os
import selectors
import socket
import time
from collections.abc import Iterable
from typing import Any

import psutil
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from benches.ledger import Ledger

OF = ("api", "log", "page")  # the stream: of the API, of a run's log page, of the run's page
LINES = {"log": "", "page": "rows"}
BEGUN = b"HTTP/1.1 200"
SETTLED = 1.0  # seconds after the last viewer was connected
LEAST = 19  # lowest priority of a process (nice)


class Viewers:
    """Runs with the lowest priority, because real viewers run on other machines."""

    def __init__(self, port: int, request: bytes, number: int) -> None:
        context = multiprocessing.get_context("fork")
        self.opened, self.bytes = context.Value("i", 0), context.Value("q", 0)
        arguments = (port, request, number, self.opened, self.bytes)
        self.process = context.Process(target=_view, args=arguments, daemon=True)
        self.process.start()
        while self.opened.value < number:
            if not self.process.is_alive():
                raise SystemExit("The viewers were not let in.")
            time.sleep(0.05)
        time.sleep(SETTLED)

    @property
    def busy(self) -> float:
        """Return the seconds of processor time."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()


def request_of(ledger: Ledger, of: str, *, gzip: bool) -> bytes:
    """Return the bytes of the request for a stream, as a browser sends it; with `gzip` it accepts gzip."""
    if of == "api":
        address = f"/api/v1/executions/{ledger.run.pk}/stream/?from=now"
        who = f"Authorization: Token {ledger.secret}"
    else:
        address = f"/admin/executions/workflowexecution/{ledger.run.pk}/stream/?lines={LINES[of]}"
        who = f"Cookie: {settings.SESSION_COOKIE_NAME}={_session()}"
    takes = "Accept-Encoding: gzip, deflate, br\r\n" if gzip else ""
    return f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n{who}\r\n{takes}\r\n".encode()


def _session() -> str:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("viewer"))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _view(port: int, request: bytes, number: int, opened: Any, size: Any) -> None:
    os.nice(LEAST)
    selector, buffer = selectors.DefaultSelector(), bytearray(2**20)
    for stream in _streams(port, request, number, opened):
        selector.register(stream, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            read = key.fileobj.recv_into(buffer)  # type: ignore[union-attr]  # a socket
            size.value += read
            if not read:
                raise SystemExit("A stream ended.")


def _streams(port: int, request: bytes, number: int, opened: Any) -> Iterable[socket.socket]:
    for _ in range(number):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(request)
        answer = stream.recv(2**16)
        if not answer.startswith(BEGUN):
            raise SystemExit(answer.decode())
        opened.value += 1
        yield stream
