"""Clients that are slow: they are sent away in time, and nobody else waits for them."""

import asyncio
import re
import socket
import time
from contextlib import ExitStack
from typing import Any
from unittest.mock import Mock

import pytest

from pastetrader.slow_clients import TimedProtocol
from pastetrader.tests.live_server import Serve, Site

SLOW = 60  # of each kind, at once
LIMIT = 1  # second, for each of them
LOGIN = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nusername="
NOBODY = b"POST /api/v1/workflows/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WITH_TOKEN = NOBODY + b"Authorization: Token ptl_none\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def site(serve: Serve, ready: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("TIMEOUT_HEADERS", "TIMEOUT_BODY", "TIMEOUT_IDLE", "TIMEOUT_UNREAD"):
        monkeypatch.setenv(name, str(LIMIT))
    return serve("--workers", "2")


def read_to_end(peer: socket.socket) -> bytes:
    """Return all that the server sends until it closes the connection."""
    parts = []
    while part := peer.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def test_slow_clients_are_sent_away_and_nobody_waits_for_them(site: Site) -> None:
    """One server for all of it: starting one takes seconds."""
    host, port = re.findall(r"//(.+):(\d+)", site.address)[0]
    kinds = {
        b"": b" 408 ",
        b"GET / HTTP/1.1\r\nHost: local": b" 408 ",
        b"\r\n": b" 408 ",
        LOGIN: b" 408 ",
        WITH_TOKEN: b" 408 ",
        NOBODY + b"Content-Length: 100\r\n\r\n{": b" 401 ",
        NOBODY + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n": b" 401 ",
    }
    with ExitStack() as stack:
        peers = []
        for said, status in SLOW * list(kinds.items()):
            peers.append((stack.enter_context(open_connection(host, port)), said, status))
            peers[-1][0].sendall(said)
        assert site.get("/api/v1/executions/")[0] == 401, "somebody else is answered meanwhile"
        for peer, said, status in peers:
            assert status in read_to_end(peer).partition(b"\r\n")[0], said
        trickle(stack.enter_context(open_connection(host, port)))
    site.process.terminate()
    _out, said_of_it = site.process.communicate(timeout=60)
    for said in ("to send its headers, and was disconnected", "A body did not arrive within"):
        assert 1 <= said_of_it.count(said) <= 2, "however many they were, each process writes it once"
    assert "Traceback" not in said_of_it, said_of_it


def trickle(peer: socket.socket) -> None:
    """One empty line after the other does not keep a connection open, though it is no silence."""
    peer.sendall(b"GET /api/v1/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert is_cut_off(peer, b"\r\n", LIMIT / 10)


def open_connection(host: str, port: str) -> socket.socket:
    return socket.create_connection((host, int(port)), timeout=30)


def is_cut_off(peer: socket.socket, said: bytes, pause: float) -> bool:
    """Return whether the connection was closed, within a time that excludes other reasons."""
    ends = time.monotonic() + 30 * LIMIT
    try:
        while time.monotonic() < ends:
            peer.sendall(said)
            time.sleep(pause)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("reads_on", [True, False])
def test_whoever_does_not_read_on_is_cut_off(settings: Any, reads_on: bool) -> None:
    """Over a real connection the system takes some megabytes in, as it likes."""
    settings.TIMEOUT_UNREAD = 0.01

    async def play() -> Mock:
        protocol = TimedProtocol.__new__(TimedProtocol)
        protocol.loop, protocol.transport, protocol.flow = asyncio.get_running_loop(), Mock(), Mock()
        protocol.pause_writing()
        if reads_on:
            protocol.resume_writing()
        await asyncio.sleep(0.05)
        return protocol.transport.abort

    assert asyncio.run(play()).called is not reads_on
