"""Client of streams for tests."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from django.db import connection, connections
from django.test import AsyncClient

from executions.live import limits, server_sent_events, topics
from executions.models import ExecutionLog, WorkflowExecution


def log(run: WorkflowExecution, *texts: str) -> None:
    ExecutionLog.objects.bulk_create(ExecutionLog(workflow_execution=run, level="info", message=text) for text in texts)


def address(run: Any, query: str = "") -> str:
    return f"/api/v1/executions/{run.pk}/stream/{query}"


class Reader:
    """An open stream, read event by event."""

    def __init__(self, response: Any) -> None:
        self.response, self.text = response, ""
        self.parts = aiter(response.streaming_content)

    async def next(self, seconds: float = 10) -> str:
        """Return the next block: an event, a comment or a hint."""
        async with asyncio.timeout(seconds):
            while "\n\n" not in self.text:
                self.text += (await anext(self.parts)).decode()
        block, self.text = self.text.split("\n\n", 1)
        return block

    async def event(self, kind: str, seconds: float = 20) -> Any:
        """The data of the next event of that kind; heartbeats alone are no reason to wait for it for ever."""
        async with asyncio.timeout(seconds):
            while True:
                block = await self.next()
                fields = dict(line.split(": ", 1) for line in block.split("\n"))
                if fields.get("event") == kind:
                    self.last = fields["id"]
                    return json.loads(fields["data"])

    async def rest(self, seconds: float = 10) -> str:
        async with asyncio.timeout(seconds):
            async for part in self.parts:
                self.text += part.decode()
        return self.text


@asynccontextmanager
async def open_stream(secret: str, url: str, **headers: str) -> AsyncIterator[Reader]:
    response: Any = await AsyncClient().get(url, headers={"Authorization": f"Token {secret}", **headers})
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    reader = Reader(response)
    try:
        yield reader
    finally:
        await reader.parts.aclose()
        await asyncio.to_thread(response.close)  # as a server does


def run_scene(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scene, and close its streams, threads and connections afterwards."""

    async def whole() -> None:
        try:
            await scene()
        finally:
            topics.get_registry().close()

    asyncio.run(whole())
    assert limits.count() == 0
    for threads in (
        server_sent_events.in_thread.__globals__["READER_THREADS"],
        server_sent_events.in_thread.__globals__["REQUEST_THREADS"],
    ):
        threads.submit(connections.close_all).result()


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def aside(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run work in a thread with a connection of its own, as another process would."""

    def alone() -> Any:
        try:
            return work(*arguments)
        finally:
            connection.close()

    return await asyncio.to_thread(alone)
