"""Hearing that there is news: who watches what is written down, and one connection listens for this whole process."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from django.db import Error, connection

from executions.conf import executions_settings

from .db_threads import in_thread

CHANNEL = "ledger_runs"
WATCHED = 60  # seconds that a watch counts, unless it is renewed
QUIET = 3.0  # seconds
RENEWED = 20  # seconds until it is
PROVED = 2.0  # seconds in which a listener has to hear itself
UNHEARD = 60.0  # seconds until it tries again where it does not
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between tries to connect; the last again and again

LISTEN = f"LISTEN {CHANNEL}"
NOTIFY = "SELECT pg_notify(%s, %s)"
WATCH = (Path(__file__).parent / "sql" / "watch.sql").read_text()
HUSH = (
    "UPDATE execution_watches SET quiet_until = clock_timestamp() + make_interval(secs => %s)"
    " WHERE workflow_execution_id = %s"
)
FORGET = "DELETE FROM execution_watches WHERE until < clock_timestamp() - interval '1 minute'"

ADDRESS = {
    "NAME": "dbname",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "host",
    "PORT": "port",
}  # Django's → libpq's

logger = logging.getLogger(__name__)


def watch(ids: Collection[UUID]) -> bool:
    """From now on, and for the next minute, a commit that touches one of these runs is heard of. Whether one of them is
    so busy that it is quiet at the moment."""
    with connection.cursor() as cursor:
        cursor.execute(WATCH, {"ids": list(ids), "seconds": WATCHED})
        return any(is_quiet for (is_quiet,) in cursor.fetchall())


def suppress_notifications(id: UUID) -> None:
    """Suppress notifications about this run for the next QUIET seconds: it is read all the time, and each commit that
    notifies would queue behind all others."""
    with connection.cursor() as cursor:
        cursor.execute(HUSH, [QUIET, id])


def renew_watches(ids: Collection[UUID]) -> None:
    watch(ids)
    with connection.cursor() as cursor:
        cursor.execute(FORGET)


class ListenerDown(psycopg.OperationalError):
    """No notification arrives. With transaction pooling LISTEN is accepted and nothing is ever delivered."""

    def __str__(self) -> str:
        return (
            "what was notified did not arrive. If there is a pooler in between, give the address of the database "
            "itself in DATABASE_LISTEN_URL."
        )


def notify(payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NOTIFY, [CHANNEL, payload])


class Listener:
    """Calls `heard` with the id of a run that was written, and with None where anything may have been missed."""

    def __init__(self, heard: Callable[[UUID | None], None]) -> None:
        self.heard = heard
        self.is_listening = False

    async def run(self) -> None:
        """Until it is cancelled."""
        tries = 0
        while True:
            try:
                await self._listen()
            except ListenerDown as error:
                logger.warning("Streams poll, as the database does not notify: %s", error)
                await asyncio.sleep(UNHEARD)
            except (psycopg.Error, Error, OSError) as error:
                tries = 0 if self.is_listening else tries + 1
                level = logging.WARNING if self.is_listening or tries == 1 else logging.DEBUG
                logger.log(level, "Streams poll, as the database does not notify: %s", str(error).strip())
            self.is_listening = False
            self.heard(None)
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])

    async def _listen(self) -> None:
        parameters = await in_thread(_parameters)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as listening:
            await listening.execute(LISTEN)
            await _prove(listening)
            self.is_listening = True
            self.heard(None)
            async for notice in listening.notifies():
                with suppress(ValueError):  # anybody who may connect may notify
                    self.heard(UUID(notice.payload))


async def _prove(listening: psycopg.AsyncConnection[Any]) -> None:
    """Raises Unheard."""
    mark = str(uuid4())
    await in_thread(partial(notify, mark))
    async for notice in listening.notifies(timeout=PROVED):
        if notice.payload == mark:
            return
    raise ListenerDown


def _parameters() -> dict[str, Any]:
    """Return the connection's parameters. Runs in a thread, as it starts an embedded server that is not up."""
    known = connection.get_connection_params()
    ours = {"pool", "cursor_factory", "context", "prepare_threshold", "server_side_binding"}
    return _past_the_pooler({name: value for name, value in known.items() if name not in ours})


def _past_the_pooler(known: dict[str, object]) -> dict[str, object]:
    direct = executions_settings.LISTENER_DATABASE
    if not direct:
        return known
    address = {libpq: direct[name] for name, libpq in ADDRESS.items() if direct.get(name)}
    others = {name: value for name, value in known.items() if name not in ADDRESS.values()}
    return others | dict(direct.get("OPTIONS", {})) | address
