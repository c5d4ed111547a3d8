"""uvicorn as `manage.py serve` runs it, in one process or in each of several.

It ends within five seconds of a signal. Requests have GRACE seconds; then clients are disconnected, and what threads
still work on is left to the end of the process: a transaction is rolled back, as if the server were killed.
"""

import asyncio
import importlib
import logging
import os
import signal
import socket
from multiprocessing import parent_process

import uvicorn
from django.conf import settings

from executions.live import topics
from pastetrader.connection_limits import CountedProtocol
from pastetrader.metrics import SAMPLE_EVERY, sample_pool
from pastetrader.workers import STOP

GRACE = 2.5  # seconds
CANCEL_AFTER = 3  # seconds until uvicorn cancels what is left
WATCH_EVERY = 0.5  # seconds between two looks whether the parent is there

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if parent := parent_process():
            self._watch(parent.pid)
        if settings.METRICS_TOKEN:
            self._sample()
        await super().startup(sockets)

    def _sample(self) -> None:
        sample_pool()
        asyncio.get_running_loop().call_later(SAMPLE_EVERY, self._sample)

    def _watch(self, parent: int | None) -> None:
        """Stop a worker whose parent is gone: nobody else would, and it would keep the port. The parent's sentinel does
        not tell: workers that were forked later hold its other end too."""
        if os.getppid() != parent:
            logger.error("The first process of the server is gone: this worker ends.")
            self.should_exit = True
        else:
            asyncio.get_running_loop().call_later(WATCH_EVERY, self._watch, parent)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for all responses to end."""
        topics.get_registry().close()
        asyncio.get_running_loop().call_later(GRACE, self._disconnect)
        await super().shutdown(sockets)

    def _disconnect(self) -> None:
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


def serve(listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    server = Server(_config())
    for each in STOP:
        # Before uvicorn sets them itself, and instead of an exception that could strike, and be lost, anywhere.
        signal.signal(each, server.handle_exit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    server.run(sockets=[listener])


def stop_threads() -> bool:
    """Drop the requests that wait, and end the threads. Return whether some still work."""
    handler = importlib.import_module("pastetrader.asgi").application  # not before serve: it prepares much
    return bool(handler.stop())


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        "pastetrader.asgi:application",
        http=CountedProtocol,
        timeout_keep_alive=settings.TIMEOUT_IDLE,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CANCEL_AFTER,
    )
