"""Bad requests to `manage.py serve`, byte for byte: each ends with an answer or a closed connection, none is a 500, and
no request is smuggled in the body of another."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from executions.tests.bad_input.inputs import HTTP_REQUESTS
from pastetrader.tests.live_server import Serve, Site

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
UNFINISHED = {"huge-length", "http-0.9", "tls-hello"}  # the server waits for more, until its time is over
# Expects, or a version, that the server does not have.
KNOWN = {b"501", b"505"}
AT_ONCE = 8


@pytest.fixture
def site(serve: Serve, ready: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("TIMEOUT_HEADERS", "TIMEOUT_BODY", "TIMEOUT_IDLE"):
        monkeypatch.setenv(name, "1")
    return serve()


def ask(site: Site, request: bytes) -> bytes:
    """Send the bytes and return all that is answered until the server closes the connection, as it is idle."""
    host, port = re.findall(r"//(.+):(\d+)", site.address)[0]
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        parts = []
        try:
            peer.sendall(request)
            while part := peer.recv(65_536):
                parts.append(part)
        except ConnectionError:  # closed before all was read
            pass
        return b"".join(parts)


def test_each_is_answered_or_closed_and_nothing_is_smuggled(site: Site) -> None:
    """One server for all of them: starting one takes seconds. Some at once: it waits a second before it ends each."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [*threads.map(partial(ask, site), HTTP_REQUESTS.values())]
    for name, answer in zip(HTTP_REQUESTS, answers, strict=True):
        statuses = STATUS.findall(answer)
        assert [status for status in statuses if status >= b"500" and status not in KNOWN] == [], (name, answer[:300])
        assert len(statuses) <= 1, (name, answer[:300])
        assert b"/smuggled" not in answer, name
        assert statuses or name in UNFINISHED, name
    assert site.get("/healthz")[0] == 200
