"""Detect within seconds that the caller of an open stream may have lost access.

One statement for all streams of a process reads the rows that their access depends on. A caller is checked in full,
which takes several statements, only if one of its rows has changed. The cost hardly grows with the number of streams.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.contrib.auth.models import PermissionsMixin
from django.db import Error, connection

from .db_threads import READER_THREADS, in_thread

EVERY = 2.0  # seconds; a stream has to end within 5 seconds of losing access
SQL = Path(__file__).parent / "sql"
KINDS = ("user", "token", "session", "run")

logger = logging.getLogger(__name__)


class AccessRow(NamedTuple):
    """A row that the access to a stream depends on; `kind` is one of KINDS."""

    kind: str
    id: str


class Wakeable(Protocol):
    def wake_readers(self) -> None: ...


@dataclass(eq=False)
class StreamAccess:
    """The access of one open stream. `needs_check` is set by the first reading, which has nothing to compare with, and
    whenever one of the rows has changed; the full check clears it."""

    topic: Wakeable
    grounds: tuple[AccessRow, ...]
    state: tuple[str | None, ...] | None = None
    needs_check: bool = False


class AccessWatch:
    """The access rights of the open streams of one event loop."""

    def __init__(self) -> None:
        self.held: set[StreamAccess] = set()

    def add(self, topic: Wakeable, grounds: Iterable[AccessRow]) -> StreamAccess:
        access = StreamAccess(topic, tuple(grounds))
        self.held.add(access)
        return access

    def remove(self, access: StreamAccess) -> None:
        self.held.discard(access)

    async def run(self) -> None:
        """Check until the task is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except Error as error:
                logger.warning("The rights of streams could not be read; the next look follows: %s", str(error).strip())

    async def _look(self) -> None:
        accesses = list(self.held)
        states = await in_thread(
            partial(read, {ground for access in accesses for ground in access.grounds}), READER_THREADS
        )
        for access in accesses:
            state = tuple(states.get(ground) for ground in access.grounds)
            access.needs_check |= state != access.state
            access.state = state
        for topic in {access.topic for access in accesses if access.needs_check}:
            topic.wake_readers()


@cache
def _statement() -> str:
    """Return sql/access_rows.sql with the names of the project's user model."""
    user: Any = get_user_model()._meta
    names = {
        "user_table": connection.ops.quote_name(user.db_table),
        "user_pk": connection.ops.quote_name(user.pk.column),
        "user_type": user.pk.rel_db_type(connection),
    }
    permissions = (SQL / "user_permissions.sql").read_text() if issubclass(user.model, PermissionsMixin) else ""
    for kind, name in {"own": "user_permissions", "member": "groups"}.items() if permissions else ():
        field = user.get_field(name)
        names[f"{kind}_table"] = connection.ops.quote_name(field.m2m_db_table())
        names[f"{kind}_user"] = connection.ops.quote_name(field.m2m_column_name())
    return (SQL / "access_rows.sql").read_text().format(permissions=permissions.strip("\n").format(**names), **names)


def read(grounds: Iterable[AccessRow]) -> dict[AccessRow, str]:
    """Return the state of each row that exists, by one statement."""
    ids: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for kind, id in grounds:
        ids[kind].append(id)
    with connection.cursor() as cursor:
        cursor.execute(_statement(), ids)
        return {AccessRow(kind, id): state for kind, id, state in cursor.fetchall()}
