"""A log as a file, however long: it is read batch by batch while it is sent, and never whole in memory."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from . import windows
from .asked import Asked
from .windows import ORDER

BATCH = 2_000  # lines
TYPES = {"text": ("txt", "text/plain; charset=utf-8"), "jsonl": ("jsonl", "application/jsonl; charset=utf-8")}
COLUMNS = ("timestamp", "level", "message", "is_cut", "workflow_execution", "node_execution__node__name")


def response(request: HttpRequest, run: Any, lines: Any, asked: Asked, kind: str) -> StreamingHttpResponse:
    """Of `lines` those that hold what `asked` looks for. `kind` is one of TYPES."""
    parts = _parts(lines.filter(message__icontains=asked.q) if asked.q else lines, kind)
    ending, content_type = TYPES[kind]
    # What is sent by a server that is asynchronous would else be collected first.
    content: Any = _apart(parts) if isinstance(request, ASGIRequest) else parts
    answer = StreamingHttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(True, f"{_name(run, asked)}.{ending}") or ""
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _name(run: Any, asked: Asked) -> str:
    """Tells the run, and what was left out."""
    node = f"node-{asked.node}" if asked.node else ""
    level = f"{asked.level}-and-above" if asked.level else ""
    q = f"with-{slugify(asked.q, allow_unicode=True)[:40]}" if asked.q else ""
    start = f"from-{asked.start}" if asked.start else ""
    return "-".join(filter(None, ["log", slugify(run.workflow.name)[:40], str(run.pk), level, node, q, start]))


def _parts(lines: Any, kind: str) -> Iterator[str]:
    printed: Callable[[Any], str] = {"text": _as_text, "jsonl": _as_json}[kind]
    columns = (*COLUMNS, "data") if kind == "jsonl" else COLUMNS
    rows = lines.select_related("node_execution__node").only(*columns).order_by(*ORDER)
    found = list(rows[:BATCH])
    while found:
        yield "".join(f"{printed(line)}\n" for line in found)
        last = found[-1]
        found = list(rows.filter(windows.behind((last.timestamp, last.pk)))[:BATCH]) if len(found) == BATCH else []


async def _apart(parts: Iterator[str]) -> AsyncIterator[str]:
    while (part := await sync_to_async(_next)(parts)) is not None:
        yield part


def _next(parts: Iterator[str]) -> str | None:
    """Whoever reads slowly holds no connection meanwhile."""
    try:
        return next(parts, None)
    finally:
        connection.close()


def _as_text(line: Any) -> str:
    node = f" [{line.node_execution.node.name}]" if line.node_execution_id else ""
    return f"{_time(line)} {line.level.upper():<7}{node} {line.message}"


def _as_json(line: Any) -> str:
    said = {
        "id": str(line.pk),
        "timestamp": _time(line),
        "level": line.level,
        "node": line.node_execution.node.name if line.node_execution_id else None,
        "node_execution": str(line.node_execution_id) if line.node_execution_id else None,
        "message": line.message,
        "data": line.data,
        "is_cut": line.is_cut,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _time(line: Any) -> str:
    return line.timestamp.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")  # type: ignore[no-any-return]
