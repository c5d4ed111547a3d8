"""Position of a reader in a stream: the `id` of an event, which the client sends back as `Last-Event-ID`.

It contains snapshots of PostgreSQL ("xmin:xmax:running transactions"), from which it follows for every transaction
whether its rows were visible. An id or a time does not show this: both are assigned before the commit, and an older
transaction may commit last.
"""

import base64
import json
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

MAX_LENGTH = 16_384  # characters; a snapshot grows with the number of open transactions
SNAPSHOT = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)", re.ASCII)
TRANSACTION = re.compile(r"[1-9]\d{0,18}", re.ASCII)

NOTHING = ""
FIRST = 3  # the first transaction id that PostgreSQL assigns


class BadCursor(ValueError):
    """The text is not a cursor of this ledger's streams."""


@dataclass(frozen=True)
class Cursor:
    """A reader that has received all transitions visible in the snapshot `moves` and all log lines visible in `lines`.
    NOTHING is the snapshot in which nothing is visible.

    If the new rows are split into several events, `until` is the snapshot that the last event reaches, and `after` the
    current place: (writing transaction, time, id) in that order. `ended`: the end was sent too.
    """

    moves: str = NOTHING
    lines: str = NOTHING
    until: str = NOTHING
    after: tuple[str, ...] = ()
    ended: bool = False

    @classmethod
    def at(cls, snapshot: str) -> Self:
        return cls(moves=snapshot, lines=snapshot)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a cursor. Raises BadCursor."""
        try:
            values = json.loads(base64.urlsafe_b64decode(text[:MAX_LENGTH].encode()))
            moves, lines, until, after, ended = values
            cursor = cls(moves, lines, until, _place(*after), bool(ended))
            cursor._check()
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise BadCursor(text[:100]) from None
        return cursor

    def __str__(self) -> str:
        values = [getattr(self, field.name) for field in fields(self)]
        return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()

    def is_older_than(self, snapshot: str) -> bool:
        """Return False for a cursor of another database, or from before a restore of this one."""
        newest = _numbers(snapshot)[1]
        return all(_numbers(own)[1] <= newest for own in (self.moves, self.lines, self.until) if own)

    def _check(self) -> None:
        for snapshot in (self.moves, self.lines, self.until):
            if snapshot != NOTHING:
                _numbers(snapshot)


def _place(*after: str) -> tuple[str, ...]:
    """Return the place as the database parses it; Python accepts more forms of a number, a time and an id. Raises
    ValueError or OverflowError."""
    if not after:
        return ()
    transaction, moment, id = (str(value) for value in after)
    if transaction and not (TRANSACTION.fullmatch(transaction) and int(transaction) < 2**63):
        raise ValueError(transaction)
    if moment and (read := datetime.fromisoformat(moment)).tzinfo is None:
        raise ValueError(moment)
    return transaction, read.astimezone(UTC).isoformat() if moment else "", str(UUID(id))


def clamp_snapshot(snapshot: str, newest: int) -> str:
    """Return the snapshot with every transaction after `newest` treated as not started.

    Transaction ids are assigned in memory. After a crash PostgreSQL continues after the last one that it finds on disk,
    and assigns the ids of transactions that left nothing there again. A cursor that counted them as seen would skip the
    rows of their successors. A transaction whose row was read is on disk, and so are all before it.
    """
    oldest, end, running = _numbers(snapshot)
    end = min(end, max(newest, FIRST) + 1)
    return f"{min(oldest, end)}:{end}:{','.join(str(number) for number in running if number < end)}"


def _numbers(snapshot: str) -> tuple[int, int, list[int]]:
    """Parse a snapshot. Raises ValueError."""
    match = SNAPSHOT.fullmatch(snapshot)
    if not match:
        raise ValueError(snapshot)
    oldest, newest = int(match[1]), int(match[2])
    running = [int(number) for number in match[3].split(",") if number]
    if not 0 < oldest <= newest < 2**63 or running != sorted(set(running)):
        raise ValueError(snapshot)
    if running and not oldest <= running[0] <= running[-1] < newest:
        raise ValueError(snapshot)
    return oldest, newest, running
