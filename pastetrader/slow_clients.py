"""Time limits of `manage.py serve` for slow clients: to send headers, and to read the response. Bodies are limited in
threaded_handler.py, for any server."""

import asyncio
import logging
from typing import Any

from django.conf import settings

from ledgerkit.rate_limited_logging import RateLimitedLogger
from pastetrader.pipelined_requests import PipelinedProtocol

logger = logging.getLogger(__name__)


def refusal(status: bytes, text: bytes, more: bytes = b"") -> bytes:
    """Return a response after which the connection is closed. `more` are headers, each with its line end."""
    return (
        b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: private, no-store\r\n%b"
        b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (status, more, len(text), text)
    )


ANSWER = refusal(b"408 Request Timeout", b"The headers took too long: send them at once, or try again.\n")
log_late_headers = RateLimitedLogger(
    logger, "A client took longer than %s seconds to send its headers, and was disconnected."
)
log_unread_response = RateLimitedLogger(
    logger, "A client read nothing of its response for %s seconds, and was disconnected."
)


class TimedProtocol(PipelinedProtocol):
    """HTTP protocol with time limits for headers and for unread responses; uvicorn limits idle connections only."""

    _headers: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Start the time limit of the headers, which later data does not extend."""
        super().data_received(data)
        if not self.is_answering and not self.transport.is_closing():
            self._await_headers()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(settings.TIMEOUT_UNREAD, self._never_read)

    def resume_writing(self) -> None:
        self._stop_unread()
        super().resume_writing()

    def _await_headers(self) -> None:
        if self._headers is None:
            self._headers = self.loop.call_later(settings.TIMEOUT_HEADERS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._headers is not None:
            self._headers.cancel()
            self._headers = None

    def _stop_unread(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_late(self) -> None:
        log_late_headers(settings.TIMEOUT_HEADERS)
        if not self.transport.is_closing():
            self.transport.write(ANSWER)
            self.transport.close()

    def _never_read(self) -> None:
        log_unread_response(settings.TIMEOUT_UNREAD)
        self.transport.abort()
