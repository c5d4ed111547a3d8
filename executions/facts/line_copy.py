"""New log lines, and the text that COPY takes for them: lines come by the thousand, and the driver takes three times as
long to write a row (`make bench-events`)."""

from collections.abc import Iterator
from datetime import datetime
from itertools import batched
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from executions.models import ExecutionLog
from ledgerkit.db.json_validation import to_json

COLUMNS = (
    "id", "workflow_execution_id", "node_execution_id", "level", "message", "data", "timestamp", "is_cut", "source",
    "seq", "attempt",
)  # fmt: skip
AT_ONCE = 500
NULL = "\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class NewLine(NamedTuple):
    """A line as it will be stored: masked, and cut to its limit."""

    id: UUID
    run: UUID
    node: UUID | None
    level: str
    message: str
    data: Any
    timestamp: datetime
    is_cut: bool
    source: str | None
    seq: int | None
    attempt: int


def copy_lines(lines: list[NewLine]) -> None:
    """Store the lines, in the order of their ids, as every call does: none waits for another in a circle."""
    if not lines:
        return
    lines.sort(key=attrgetter("id.int"))
    statement = f"COPY {ExecutionLog._meta.db_table} ({', '.join(COLUMNS)}) FROM STDIN"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        for some in batched(_as_text(lines), AT_ONCE):
            copy.write("".join(some))


def _as_text(lines: list[NewLine]) -> Iterator[str]:
    runs = {line.run.int: line.run.hex for line in lines}
    for id, run, node, level, message, data, timestamp, is_cut, source, seq, attempt in lines:
        text = message if message.isprintable() and "\\" not in message else message.translate(ESCAPES)
        document = NULL if data is None else to_json(data).translate(ESCAPES)
        yield (
            f"{id.hex}\t{runs[run.int]}\t{node.hex if node else NULL}\t{level}\t{text}\t{document}\t"
            f"{timestamp.isoformat()}\t{'t' if is_cut else 'f'}\t"
            f"{NULL if source is None else source.translate(ESCAPES)}\t{NULL if seq is None else seq}\t{attempt}\n"
        )
