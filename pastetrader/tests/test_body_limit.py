"""Bodies over a real server: in chunks, packed, and larger than what it takes in."""

import gzip
import http.client
import json
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pastetrader.tests.live_server import ALL_SCOPES, Serve, Site
from pastetrader.tests.prepared_folder import manage

LIMIT = 1_000_000
WORKFLOWS = "/api/v1/workflows/"
BODY = json.dumps({"name": "x", "description": "d" * 2_000}).encode()


@pytest.fixture
def site(serve: Serve, ready: None, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("MAX_BODY_BYTES", str(LIMIT))
    return serve()


@pytest.fixture
def token(site: Site, data_dir: Path) -> str:
    done = manage("create_token", "admin", *ALL_SCOPES, local=data_dir.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def connection(site: Site) -> Iterator[http.client.HTTPConnection]:
    host, port = re.findall(r"//(.+):(\d+)", site.address)[0]
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    yield connection
    connection.close()


def chunks(body: bytes, size: int = 60_000) -> Iterator[bytes]:
    yield from (body[at : at + size] for at in range(0, len(body), size))


def bomb(megabytes: int) -> bytes:
    """Return a body that decompresses to a thousand times its size."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(megabytes)), packer.flush()])


def post(connection: Any, token: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    said = {"Authorization": f"Token {token}", "Content-Type": "application/json", **headers}
    connection.request("POST", WORKFLOWS, body, said, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_bodies_of_any_kind(site: Site, token: str, connection: Any) -> None:
    """One server for all of it: starting one takes seconds."""
    packed = {"Content-Encoding": "gzip"}
    large_bomb = bomb(300)  # made first: the server hangs up on a connection that is silent for 5 seconds
    assert post(connection, token, BODY)[0] == 201
    assert post(connection, token, chunks(BODY, 100))[0] == 201
    assert post(connection, token, gzip.compress(BODY), **packed)[0] == 201
    status, row = post(connection, token, chunks(gzip.compress(BODY), 7), **packed)
    assert (status, row["description"]) == (201, "d" * 2_000)
    large = b" " * (LIMIT - len(BODY)) + BODY
    assert post(connection, token, chunks(large))[0] == 201
    for body, headers in ((large + b" ", {}), (chunks(large + b" "), {}), (gzip.compress(large + b" "), packed)):
        status, problem = post(connection, token, body, **headers)
        assert (status, problem["code"]) == (413, "too_large")
    assert post(connection, token, BODY)[0] == 201, "the connection is still good"
    before = resident(site)
    assert post(connection, token, large_bomb, **packed)[0] == 413
    assert resident(site) - before < 50_000_000
    check_charsets(connection, token)
    check_early_answers(site, token)
    check_forms(connection)


def check_charsets(connection: Any, token: str) -> None:
    """Check that the address is read in UTF-8 and the body is refused, whatever codec is named."""
    read = {"Authorization": f"Token {token}"}
    for codec in "hex", "zlib", "rot13", "idna", "punycode", "undefined", "utf-16", "nothing", "x" * 20_000:
        kind = {"Content-Type": f"application/json; charset={codec}"}
        assert post(connection, token, BODY, **kind)[0] == 415, codec
        for path, status in (
            (WORKFLOWS + "?page_size=1", 200),
            (WORKFLOWS + "?page_size=%ff", 400),
            ("/admin/?q=%ff", 302),
        ):
            connection.request("GET", path, headers=read | kind)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, (codec, path)


def check_early_answers(site: Site, token: str) -> None:
    """Check that a body that is too large or never ends is refused before its end, and that nothing of it is kept."""
    host, port = re.findall(r"//(.+):(\d+)", site.address)[0]
    head = f"POST {WORKFLOWS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n"
    head += "Content-Type: application/json\r\n"
    for length in "Content-Length: 10000000000", "Transfer-Encoding: chunked":
        with socket.create_connection((host, int(port)), timeout=30) as peer:
            peer.sendall(f"{head}{length}\r\n\r\n".encode())
            if "chunked" in length:
                for chunk in chunks(b" " * (LIMIT + 1)):
                    peer.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            assert peer.recv(1_000).startswith(b"HTTP/1.1 413 ")
            before = resident(site)
            for _ in range(500):
                peer.sendall(b"ea60\r\n" + b" " * 60_000 + b"\r\n")
            assert resident(site) - before < 15_000_000


def check_forms(connection: Any) -> None:
    """The admin's are no exception."""
    for kind in "application/x-www-form-urlencoded", "multipart/form-data; boundary=x":
        connection.request("POST", "/admin/login/", b"a" * (LIMIT + 1), {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {400, 403, 413}, kind


def resident(site: Site) -> int:
    return int(psutil.Process(site.process.pid).memory_info().rss)
