"""Download of a log: lines are read in batches while the response is sent, so that memory stays constant."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from executions.admin import download_escaping
from executions.admin.types import Lines
from executions.models import WorkflowExecution
from ledgerkit.db.names import contains
from ledgerkit.db.read_database import read_primary

from . import querysets
from .query_parameters import LogQuery
from .querysets import ORDER

BATCH = 2_000  # lines
TYPES = {"text": ("txt", "text/plain; charset=utf-8"), "jsonl": ("jsonl", "application/jsonl; charset=utf-8")}
DOWNLOAD_COLUMNS = (*ORDER, "level", "node_execution_id", "attempt", "message")


def download_response(
    request: HttpRequest, run: WorkflowExecution, lines: Lines, log_query: LogQuery, kind: str
) -> StreamingHttpResponse:
    """Stream those of `lines` that contain the search text. `kind` is a key of TYPES."""
    read_primary()  # as the lines, which are read after the request
    names = dict(run.node_executions.visible_to(request.user).values_list("pk", "node_name"))
    zone = timezone.get_current_timezone()  # the body is generated after the request, whose zone is reset
    parts = _batches(lines.filter(contains("message", log_query.q)) if log_query.q else lines, names, kind, zone)
    ending, content_type = TYPES[kind]
    # Under ASGI, Django reads a synchronous iterator to its end before it sends anything.
    content: Any = _async_batches(parts) if isinstance(request, ASGIRequest) else parts
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(True, f"{_name(run, log_query)}.{ending}") or ""
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _name(run: WorkflowExecution, log_query: LogQuery) -> str:
    """Return the file name without extension: the workflow, the run and the filters."""
    node = f"node-{log_query.node}" if log_query.node else ""
    attempt = f"attempt-{log_query.attempt}" if log_query.attempt else ""
    level = f"{log_query.level}-and-above" if log_query.level else ""
    q = f"with-{slugify(log_query.q, allow_unicode=True)[:40]}" if log_query.q else ""
    start = f"from-{log_query.start}" if log_query.start else ""
    return "-".join(filter(None, ["log", slugify(run.workflow_name)[:40], str(run.pk), level, node, attempt, q, start]))


def _batches(lines: Lines, names: dict[UUID, str], kind: str, zone: tzinfo) -> Iterator[str]:
    """Yield the file in batches, from tuples and without a join: at 100,000 lines, objects cost more than the query."""
    printed: Callable[..., str] = _as_json if kind == "jsonl" else partial(_as_text, zone)
    columns = (*DOWNLOAD_COLUMNS, "is_cut", "data", "source", "seq") if kind == "jsonl" else DOWNLOAD_COLUMNS
    rows = lines.values_list(*columns).order_by(*ORDER)
    found = list(rows[:BATCH])
    while found:
        yield "".join(f"{printed(names, *line)}\n" for line in found)
        found = list(querysets.lines_after(rows, found[-1][:2])[:BATCH]) if len(found) == BATCH else []


async def _async_batches(parts: Iterator[str]) -> AsyncIterator[str]:
    while (part := await sync_to_async(_next_batch)(parts)) is not None:
        yield part


def _next_batch(parts: Iterator[str]) -> str | None:
    """Return the next batch and close the connection, so that a slow client holds none while it reads."""
    try:
        return next(parts, None)
    finally:
        connection.close()


def _as_text(
    zone: tzinfo,
    names: Any,
    time: datetime,
    _pk: UUID,
    level: str,
    node: UUID | None,
    attempt: int | None,
    message: str,
) -> str:
    """Format a line with its time in the user's zone. Marks the further lines of a message, which could otherwise be
    written to look like a log line."""
    again = f" #{attempt}" if attempt and attempt > 1 else ""
    name = f" [{download_escaping.escape_controls(names[node])}{again}]" if node in names else ""
    return f"{_format_time(time, zone)} {level.upper():<7}{name} {download_escaping.mark_continuation_lines(message)}"


def _as_json(
    names: Any,
    time: datetime,
    pk: UUID,
    level: str,
    node: UUID | None,
    attempt: int | None,
    message: str,
    is_cut: bool,
    data: object,
    source: str | None,
    seq: int | None,
) -> str:
    document = {
        "id": str(pk),
        "timestamp": _format_time(time, UTC),
        "level": level,
        "node": names.get(node),
        "node_execution": str(node) if node else None,
        "message": message,
        "data": data,
        "is_cut": is_cut,
        "attempt": attempt,
        "source": source,
        "seq": seq,
    }
    return download_escaping.in_json(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _format_time(time: datetime, zone: tzinfo) -> str:
    return time.astimezone(zone).isoformat(timespec="microseconds").replace("+00:00", "Z")
