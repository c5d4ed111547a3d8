"""Connections to `manage.py serve`, by its protocol in this process: what clients send ahead, how many are open."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from pastetrader import connection_limits
from pastetrader.connection_limits import CountedProtocol, OpenConnections, allow_files

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
STREAM = GET.replace(b"/", b"/2/stream/", 1)
LARGE = 20_000_000  # bytes, more than the system takes in for a client that does not read
type Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
type Connect = Callable[[], Awaitable[Peer]]


class App:
    """An application that responds with as many bytes as the path says, once it is allowed to."""

    def __init__(self) -> None:
        self.may, self.asked = asyncio.Event(), asyncio.Event()
        self.ended = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.may.wait()
        size = int(scope["path"].split("/")[1] or 2)
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})
        self.ended += 1


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Connect]:
    config = uvicorn.Config(app, http=CountedProtocol, log_config=None, access_log=False, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: CountedProtocol(config, state, {}), "127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        port = server.sockets[0].getsockname()[1]

        async def connect() -> Peer:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            return reader, writer

        try:
            yield connect
        finally:
            app.may.set()
            server.close()
    for connection in [*state.connections]:
        connection.transport.abort()
    await asyncio.wait_for(until(lambda: not state.connections and not state.tasks), 10)


@pytest.fixture(autouse=True)
def fresh_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "opened", OpenConnections())


@pytest.mark.parametrize("ends", ["hangs up", "does not read"])
def test_whoever_sends_ahead_and_is_cut_off_leaves_no_traceback(settings: Any, caplog: Any, ends: str) -> None:
    settings.TIMEOUT_UNREAD = 0.05

    async def play() -> None:
        app = App()
        async with serving(app) as connect:
            _reader, writer = await connect()
            writer.write(GET.replace(b"/", b"/%d" % LARGE, 1) + 2 * GET)
            await app.asked.wait()
            if ends == "hangs up":
                writer.transport.abort()
                await asyncio.sleep(0.05)
            else:
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a transport that reads too
            app.may.set()
            await asyncio.wait_for(until(lambda: app.ended), 10)

    uvloop.run(play())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def until(is_so: Callable[[], Any]) -> None:
    while not is_so():  # noqa: ASYNC110  # what is waited for is a number of the code that is tested
        await asyncio.sleep(0.01)


def test_what_cannot_be_read_does_not_overtake_the_answers_before_it() -> None:
    async def play(said: bytes) -> bytes:
        app = App()
        async with serving(app) as connect:
            reader, writer = await connect()
            writer.write(said)
            await asyncio.sleep(0.05)
            app.may.set()
            return await asyncio.wait_for(reader.read(), 10)

    junk = b"\xff\xff\r\n\r\n"
    unfinished = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert uvloop.run(play(2 * GET + junk)).count(b"HTTP/1.1 200 OK") == 2
    assert b" 400 " not in uvloop.run(play(GET + junk))
    assert uvloop.run(play(GET + unfinished)).count(b"HTTP/1.1 ") == 1
    assert uvloop.run(play(junk)).startswith(b"HTTP/1.1 400 ")
    assert uvloop.run(play(unfinished)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "said",
    [
        STREAM.replace(b"GET", b"POST", 1),
        STREAM.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"),
        STREAM.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_what_only_looks_like_a_stream_is_counted(said: bytes) -> None:
    async def play() -> int:
        app = App()
        async with serving(app) as connect:
            _reader, writer = await connect()
            writer.write(said)
            await app.asked.wait()
            return connection_limits.opened.every

    assert uvloop.run(play()) == 1


@pytest.mark.parametrize(("proxies", "limits"), [(0, (9, 3)), (0, (3, 0)), (1, (3, 1))])
def test_one_connection_more_than_the_limit_is_503_and_streams_are_not_counted(
    settings: Any, proxies: int, limits: tuple[int, int]
) -> None:
    settings.TOKENS = settings.TOKENS | {"PROXIES": proxies}
    settings.CONNECTIONS, settings.CONNECTIONS_PER_ADDRESS = limits

    async def play() -> tuple[bytes, bytes]:
        app = App()
        async with serving(app) as connect:
            streams = [await connect() for _ in range(2)]
            for _reader, writer in streams:
                writer.write(STREAM)
            await asyncio.wait_for(until(lambda: connection_limits.opened.every == 0), 10)
            idle = [await connect() for _ in range(3)]
            reader, writer = await connect()
            writer.write(GET)
            refused = await asyncio.wait_for(reader.read(), 10)
            idle[0][1].close()
            await asyncio.wait_for(until(lambda: connection_limits.opened.every == 2), 10)
            reader, writer = await connect()
            writer.write(GET)
            app.may.set()
            taken = await asyncio.wait_for(reader.readline(), 10)
        await asyncio.wait_for(
            until(lambda: connection_limits.opened.every == connection_limits.opened.refused == 0), 10
        )
        return refused, taken

    refused, taken = uvloop.run(play())
    head, _, text = refused.partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], b"retry-after: 5" in head) == (b"HTTP/1.1 503 Service Unavailable", True)
    assert text == connection_limits.FULL
    assert taken == b"HTTP/1.1 200 OK\r\n"


def test_refused_connections_do_not_pile_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONNECTIONS = 1
    monkeypatch.setattr(connection_limits, "LINGERING", 2)

    async def play() -> list[int]:
        async with serving(App()) as connect:
            peers = [await connect() for _ in range(5)]
            said = [await asyncio.wait_for(reader.read(), 10) for reader, _writer in peers[1:]]
            return sorted(len(each) for each in said)

    assert uvloop.run(play()) == [0, 0, len(connection_limits.REFUSAL), len(connection_limits.REFUSAL)]


def test_a_server_may_open_the_files_that_it_needs(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, pair: limits.append(pair))
    settings.CONNECTIONS, settings.EXECUTIONS_STREAMS = 2_000, 500
    assert (allow_files(), limits[-1]) == ("", (2_856, 4_096))
    settings.CONNECTIONS = 9_000
    assert "set CONNECTIONS lower" in allow_files()
    assert limits[-1] == (4_096, 4_096)
