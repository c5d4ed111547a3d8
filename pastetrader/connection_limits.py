"""Limits on the open connections of `manage.py serve`, of all its processes: of all clients, and of one address."""

import logging
import resource
from typing import Any

from django.conf import settings

from executions.conf import executions_settings
from ledgerkit.rate_limited_logging import RateLimitedLogger
from ledgerkit.shared_counts import SharedCounts, exclusive
from pastetrader.slow_clients import TimedProtocol, refusal
from tokens.conf import tokens_settings
from tokens.failed_attempts import network_of

LINGERING = 100  # refused connections that are still open, so that the client can read the response
LINGER = 1.0  # seconds until they are closed
OTHER_FILES = 256  # other open files of a server: database connections, logs, static files, the event loop
RETRY_AFTER = 5
STREAM = "/stream/"  # suffix of the paths of streams
BODY = {b"content-length", b"transfer-encoding"}

FULL = (
    b"The server has too many open connections, of all clients or from your address: close some, or try again later.\n"
)
REFUSAL = refusal(b"503 Service Unavailable", FULL, b"retry-after: %d\r\n" % RETRY_AFTER)

log_refused_connection = RateLimitedLogger(
    logging.getLogger(__name__),
    "A connection was refused: %s are open, of %s, the limit (CONNECTIONS, ..._PER_ADDRESS).",
)


class OpenConnections:
    """Open connections: all and those of each network, of all processes, and those that this one has refused."""

    def __init__(self) -> None:
        self.counts, self.refused = SharedCounts(), 0

    @property
    def every(self) -> int:
        return self.counts.total()

    def excess(self, network: str) -> tuple[int, str] | None:
        """Return the number of open connections and whose they are if a limit is reached. Behind a proxy no network is
        known."""
        if settings.CONNECTIONS and self.every >= settings.CONNECTIONS:
            return self.every, "all clients"
        same = self.counts.count_for(network)
        if network and settings.CONNECTIONS_PER_ADDRESS and same >= settings.CONNECTIONS_PER_ADDRESS:
            return same, network
        return None


opened = OpenConnections()


class CountedProtocol(TimedProtocol):
    """HTTP protocol that responds 503 on a connection beyond CONNECTIONS or CONNECTIONS_PER_ADDRESS. A connection that
    carries a stream is not counted, since streams have limits of their own."""

    network = ""
    is_counted = is_refused = False

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)
        self.network = network_of(self.client[0]) if self.client and not tokens_settings.PROXIES else ""
        with exclusive():
            excess = opened.excess(self.network)
            self._count(not excess)
        if excess:
            self._refuse(*excess)

    def connection_lost(self, exc: Exception | None) -> None:
        self._count(False)
        opened.refused -= self.is_refused
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Drop data of a refused connection: closing it with unread data would discard the refusal."""
        if not self.is_refused:
            super().data_received(data)

    def on_response_complete(self) -> None:
        self._count(True)
        super().on_response_complete()

    def _start_asgi_task(self, cycle: Any, app: object) -> None:
        # Private, but uvicorn has no hook for the start of a pipelined request.
        self._count(not _is_stream(cycle.scope))
        super()._start_asgi_task(cycle, app)

    def _count(self, is_counted: bool) -> None:
        if is_counted != self.is_counted:
            self.is_counted = is_counted
            opened.counts.add(self.network, 1 if is_counted else -1)

    def _refuse(self, count: int, whose: str) -> None:
        log_refused_connection(count, whose)
        self.is_refused = True
        opened.refused += 1
        self._stop_waiting()
        if opened.refused > LINGERING:
            self.transport.abort()
            return
        self.transport.write(REFUSAL)
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)


def _is_stream(scope: Any) -> bool:
    """Return whether a request is for a stream. One with a body is not, whatever its address: while its body is awaited
    no limit of streams holds for it."""
    names = {name for name, _value in scope["headers"]}
    return bool(scope["path"].endswith(STREAM) and scope["method"] == "GET" and not names & BODY)


def allow_files() -> str:
    """Raise the limit of open files to what the limits on connections require. Return a warning if that fails."""
    needed = settings.CONNECTIONS + executions_settings.STREAMS + LINGERING + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ""
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most >= needed:
        return ""
    return (
        f"A process may have {most} files open here, and {needed} may be needed: set CONNECTIONS lower, or allow more."
    )
