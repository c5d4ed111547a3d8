"""Excerpts of errors for lists: the database returns the first bytes of each error, whatever its size."""

from itertools import accumulate

from django.db.models import Model, QuerySet
from django.db.models.functions import Left

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.models import Octets
from ledgerkit.db.plain_rows import Columns

from . import text_limits

MAX_BYTES = 2_048  # bytes
ROW = 640  # assumed bytes of a list's row without its error
START, SIZE = "error_start", "error_size"  # annotations of the rows


def with_heads[Q: QuerySet[Model]](rows: Q, *, wanted: bool = True) -> Q:
    """Return the rows with the beginning of each error instead of the whole error; with no error unless `wanted`."""
    rows = rows.defer("error_message")
    return (
        rows
        if not wanted
        else rows.annotate(**{START: Left("error_message", MAX_BYTES), SIZE: Octets("error_message")})
    )


def first[M: Model](rows: QuerySet[M]) -> tuple[list[M], bool]:
    """Return the first rows of a queryset made by with_heads(), and whether there are more. LEDGERKIT["MAX_PAGE_BYTES"]
    limits their number; at least one is returned."""
    most = ledgerkit_settings.MAX_PAGE_BYTES
    found = list(rows[: most // ROW + 1])
    sizes = accumulate(ROW + min(vars(row)[SIZE] or 0, MAX_BYTES) for row in found)
    kept = [row for row, size in zip(found, sizes, strict=True) if size <= most] or found[:1]
    return kept, len(kept) < len(found)


def head(columns: Columns) -> dict[str, object]:
    """Return the error of a row as lists show it, cut to their length, and whether it was cut. None and False if the
    row was read without."""
    error: str | None = columns.get(START if START in columns else "error_message")
    if error is None:
        return {"error_message": None, "error_is_cut": False}
    size = columns.get(SIZE)  # set if only the beginning was read
    is_cut = (size or len(error.encode())) > MAX_BYTES
    return {"error_message": text_limits.cut(error, MAX_BYTES, size), "error_is_cut": is_cut}
