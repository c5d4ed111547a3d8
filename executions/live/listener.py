"""One LISTEN connection per process, and the table of watched runs, for which writers notify."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from django.db import Error, connection

from executions import unpooled_connection

from .db_threads import in_thread

CHANNEL = "ledger_runs"
WATCH_SECONDS = 60  # a watch expires, unless it is renewed
QUIET_SECONDS = 3.0  # how long notifications about a busy run are suppressed
RENEW_EVERY = 20  # seconds
DELIVERY_TIMEOUT = 2.0  # seconds within which a listener must receive its own notification
RETRY_LISTENING = 60.0  # seconds until the next try after a notification did not arrive
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between tries to connect; the last is repeated

LISTEN = f"LISTEN {CHANNEL}"
NOTIFY = "SELECT pg_notify(%s, %s)"
WATCH_RUNS = (Path(__file__).parent / "sql" / "watch_runs.sql").read_text()
SUPPRESS = (
    "UPDATE execution_watches SET quiet_until = clock_timestamp() + make_interval(secs => %s)"
    " WHERE workflow_execution_id = %s"
)
DELETE_EXPIRED = "DELETE FROM execution_watches WHERE until < clock_timestamp() - interval '1 minute'"

logger = logging.getLogger(__name__)


def watch(ids: Collection[UUID]) -> bool:
    """Watch these runs for a minute: commits that change them notify. Return whether notifications about one of them
    are suppressed now."""
    with connection.cursor() as cursor:
        cursor.execute(WATCH_RUNS, {"ids": list(ids), "seconds": WATCH_SECONDS})
        return any(is_quiet for (is_quiet,) in cursor.fetchall())


def suppress_notifications(id: UUID) -> None:
    """Suppress notifications about this run for QUIET_SECONDS: it is polled, and commits that notify are serialised."""
    with connection.cursor() as cursor:
        cursor.execute(SUPPRESS, [QUIET_SECONDS, id])


def renew_watches(ids: Collection[UUID]) -> None:
    watch(ids)
    with connection.cursor() as cursor:
        cursor.execute(DELETE_EXPIRED)


class ListenerDown(psycopg.OperationalError):
    """No notification arrives. With transaction pooling LISTEN is accepted, but nothing is ever delivered."""

    def __str__(self) -> str:
        return (
            "a test notification did not arrive. If the connection goes through a pooler, set "
            "EXECUTIONS['LISTENER_DATABASE'] to the address of the database itself."
        )


def notify(payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NOTIFY, [CHANNEL, payload])


class Listener:
    """Calls `on_notification` with the id of a run that was written, and with None if notifications may have been
    missed."""

    def __init__(self, on_notification: Callable[[UUID | None], None]) -> None:
        self.on_notification = on_notification
        self.is_listening = False

    async def run(self) -> None:
        """Listen until the task is cancelled."""
        tries = 0
        while True:
            try:
                await self._listen()
            except ListenerDown as error:
                logger.warning("Streams poll, as the database does not notify: %s", error)
                await asyncio.sleep(RETRY_LISTENING)
            except (psycopg.Error, Error, OSError) as error:
                tries = 0 if self.is_listening else tries + 1
                level = logging.WARNING if self.is_listening or tries == 1 else logging.DEBUG
                logger.log(level, "Streams poll, as the database does not notify: %s", str(error).strip())
            self.is_listening = False
            self.on_notification(None)
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])

    async def _listen(self) -> None:
        parameters = await in_thread(unpooled_connection.parameters)  # in a thread: it may start the embedded server
        listening = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        try:
            await self._receive(listening)
        finally:
            # Closing waits for nothing. `async with` would wait for the connection's lock first, and a task that is
            # cancelled there, as at the end of a loop, would leave it open.
            await listening.close()

    async def _receive(self, listening: psycopg.AsyncConnection) -> None:
        await listening.execute(LISTEN)
        await _check_delivery(listening)
        self.is_listening = True
        self.on_notification(None)
        async for notice in listening.notifies():
            with suppress(ValueError):  # any database user may notify, with any text
                self.on_notification(UUID(notice.payload))


async def _check_delivery(listening: psycopg.AsyncConnection) -> None:
    """Raise ListenerDown unless a test notification arrives."""
    mark = str(uuid4())
    await in_thread(partial(notify, mark))
    async for notice in listening.notifies(timeout=DELIVERY_TIMEOUT):
        if notice.payload == mark:
            return
    raise ListenerDown
