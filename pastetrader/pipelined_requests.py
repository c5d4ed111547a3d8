"""uvicorn's HTTP protocol, for a client that sends the next request before it has the response to the first.

uvicorn keeps only the last of such requests: when the connection ends, the request under way is not notified, writes to
a closed connection, and its traceback is logged. And a malformed request is refused (400) at once, which the client
reads as the response to the first of its requests.
"""

from collections.abc import Iterator
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # uvicorn has no public name for it


class PipelinedProtocol(HttpToolsProtocol):
    _answered: Any = None  # the cycle of the current or last response

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self._unfinished_cycles():
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request; behind requests under way, close the connection after the last of them."""
        self._drop_partial()
        unfinished = list(self._unfinished_cycles())
        if not unfinished:
            super().send_400_response(msg)
        elif (last := unfinished[-1]).more_body:  # it waits for the malformed part
            self.transport.close() if last.response_started else super().send_400_response(msg)
        else:
            last.keep_alive = False
            self.flow.pause_reading()

    @property
    def is_answering(self) -> bool:
        return any(self._unfinished_cycles())

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # Private, but uvicorn has no hook for the start of a pipelined request, and `cycle` may be that of a later one.
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _unfinished_cycles(self) -> Iterator[Any]:
        """Yield the cycles whose response is not complete, the oldest first."""
        if self._answered is not None and not self._answered.response_complete:
            yield self._answered
        yield from (cycle for cycle, _app in reversed(self.pipeline))

    def _drop_partial(self) -> None:
        """Remove a waiting request whose body can never be complete."""
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
