"""The beginning of an error, which is all that a list shows of it; cut by the database, whatever its size there."""

from itertools import accumulate
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.functions import Left

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.models import Octets

from . import report_texts

MOST = 2_048  # bytes
ROW = 640  # bytes of a row of a list beside its error
START, SIZE = "error_start", "error_size"  # beside the columns of a row that was read so


def with_heads(rows: QuerySet[Model], *, wanted: bool = True) -> Any:
    """Return the same rows, with the beginning of their errors, where it is wanted, in place of the errors."""
    rows = rows.defer("error_message")
    return rows if not wanted else rows.annotate(**{START: Left("error_message", MOST), SIZE: Octets("error_message")})


def first(rows: QuerySet[Model]) -> tuple[list[Any], bool]:
    """Return the first rows of a query that with_heads() made, as many as EXECUTIONS_MAX_PAGE_BYTES have room for and
    at least one, and whether there are more."""
    most = ledgerkit_settings.MAX_PAGE_BYTES
    found = list(rows[: most // ROW + 1])
    sizes = accumulate(ROW + min(vars(row)[SIZE] or 0, MOST) for row in found)
    kept = [row for row, size in zip(found, sizes, strict=True) if size <= most] or found[:1]
    return kept, len(kept) < len(found)


def head(row: Model) -> tuple[str | None, bool]:
    """Return the error of a row, or as much of its beginning as a list shows, with a mark, and whether it was cut. None
    if the query read neither."""
    values = vars(row)
    error: str | None = values.get(START if START in values else "error_message")
    if error is None:
        return None, False
    size = values.get(SIZE)  # where only the beginning was read
    return report_texts.cut(error, MOST, size), (size or len(error.encode())) > MOST
