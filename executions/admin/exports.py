"""Export of a list as a stream: all rows that its address selects, newest first, as CSV or NDJSON.

Rows are read in batches by keyset, each on a connection of its own, so that neither memory nor a connection depends on
how many there are or on how fast the client reads. Texts are as stored, with secrets masked.
"""

import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header

from executions.admin import download_escaping
from executions.admin.filters.select_rows import select_rows
from executions.admin.pagination import EXPORT
from ledgerkit.db import keyset
from ledgerkit.db.read_database import read_primary

if TYPE_CHECKING:
    from .base import ReadOnlyAdmin

BATCH = 1_000  # rows
TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson; charset=utf-8"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate

logger = logging.getLogger(__name__)

type Row = Sequence[object]
type Writer = Callable[[Sequence[str], Row], str]


def export_response(model_admin: "ReadOnlyAdmin", request: HttpRequest, kind: str) -> StreamingHttpResponse:
    """Stream the rows. Raises IncorrectLookupParameters for filters that the list does not have."""
    read_primary()  # as the rows, which are read after the request
    query = without_export(request)
    rows = select_rows(model_admin, request.user, query, model_admin.own_parameters)
    logger.info("%s exports %s as %s: %s", request.user, model_admin.opts.model_name, kind, query.urlencode())
    parts = _parts(rows, model_admin.exported, model_admin.keyset, kind)
    # Under ASGI, Django reads a synchronous iterator to its end before it sends anything.
    content: Any = _async_parts(parts) if isinstance(request, ASGIRequest) else parts
    response = StreamingHttpResponse(content, content_type=TYPES[kind])
    name = f"{model_admin.opts.model_name}-{timezone.localtime():%Y%m%d-%H%M}.{kind}"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    response["X-Content-Type-Options"] = "nosniff"
    return response


def without_export(request: HttpRequest) -> QueryDict:
    query = request.GET.copy()
    query.pop(EXPORT)
    return query


def _parts(rows: QuerySet[Model], exported: Mapping[str, str], key: Sequence[str], kind: str) -> Iterator[str]:
    """Yield the file in parts: the head, and each batch. `exported` maps the fields of the file to columns."""
    names, written = list(exported), _csv_line if kind == "csv" else _json_line
    if kind == "csv":
        yield "\ufeff" + _csv_line(names, names)  # the mark tells a spreadsheet that it is UTF-8
    order = keyset.reverse(key)
    newest_first = rows.order_by(*order).values_list(*exported.values(), *key)
    found = list(newest_first[:BATCH])
    while found:
        yield "".join(written(names, row[: len(names)]) for row in found)
        last = found[-1][len(names) :]
        found = list(newest_first.filter(keyset.after(order, last))[:BATCH]) if len(found) == BATCH else []


async def _async_parts(parts: Iterator[str]) -> AsyncIterator[str]:
    while (part := await sync_to_async(_next_part)(parts)) is not None:
        yield part


def _next_part(parts: Iterator[str]) -> str | None:
    """Return the next part and close the connection, so that a slow client holds none while it reads."""
    try:
        return next(parts, None)
    finally:
        connection.close()


def _csv_line(_names: Sequence[str], row: Row) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_csv_value(value) for value in row])
    return line.getvalue()


def _csv_value(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula, without characters that control a terminal."""
    if isinstance(value, list | dict):
        value = ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(_plain(value))
    text = "\n".join(download_escaping.escape_controls(line) for line in text.splitlines())
    return f"'{text}" if text.startswith(FORMULA) else text


def _json_line(names: Sequence[str], row: Row) -> str:
    document = dict(zip(names, map(_plain, row), strict=True))
    return download_escaping.in_json(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
