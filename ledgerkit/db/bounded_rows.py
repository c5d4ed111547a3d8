"""Read rows up to a total size in bytes.

The first query returns the size of each text and document, and the value itself if it is small. A second query reads
the large values, only for the rows within the limit: a page of four megabytes never reads a gigabyte.
"""

from typing import Any

from django.db.models import Func, IntegerField, JSONField, Model, QuerySet, TextField

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.models import Column

type Columns = dict[str, Any]  # values of one row by the names of its columns, as `.values()` returns them
type Rows = QuerySet[Model, Columns]
type Names = tuple[str, ...]

LEAST = 1_024  # bytes: a value of at most this size is always read by the first query
_size_of, _small = "{}_size".format, "{}_small".format  # names of annotations beside a large field


# One Func each: built of Case, When, Cast and lookups, they took a sixth of the time of a list.
class Size(Func):
    """The size of a text or a document, in bytes."""

    template = "octet_length((%(expressions)s)::text)"
    output_field = IntegerField()


class IfSmall(Func):
    """The value itself if it has at most `most` bytes, else NULL."""

    template = "CASE WHEN octet_length((%(expressions)s)::text) <= %(most)d THEN %(expressions)s END"


def columns(rows: QuerySet[Model], most: int) -> tuple[Rows, Names]:
    """Return a query for read(), and the names of its large fields. It selects the columns and annotations that `rows`
    reads, as dicts, with the size and the small values of texts and documents in place of these. At most `most` rows
    will be read from it."""
    fields = _fields(rows)
    large = tuple(field.name for field in fields if isinstance(field, JSONField | TextField))
    share = max(LEAST, ledgerkit_settings.MAX_PAGE_BYTES // most)
    beside: dict[str, Func] = {}
    for name in large:
        beside |= {_size_of(name): Size(name), _small(name): IfSmall(name, most=share)}
    rows = rows.annotate(**beside) if beside else rows
    small = (field.attname for field in fields if field.name not in large)
    return rows.values(*small, *rows.query.annotations), large


def read(rows: Rows, large: Names) -> tuple[list[Columns], bool]:
    """Return the rows of a columns() query up to the size limit, with their large fields, and whether rows were cut
    off. The first row is always returned."""
    found = list(rows)
    if not large:
        return found, False
    sizes = [_size_of(name) for name in large]
    kept: list[Columns] = []
    room = ledgerkit_settings.MAX_PAGE_BYTES
    for row in found:
        room -= sum(row[size] or 0 for size in sizes)
        if kept and room < 0:
            break
        kept.append(row)
    return _whole(rows, kept, large), len(kept) < len(found)


def _fields(rows: QuerySet[Model]) -> list[Column]:
    """Return the fields that a query reads."""
    named, are_left_out = rows.query.deferred_loading  # Django has no public API to read what defer() and only() set
    fields = rows.model._meta.concrete_fields
    return [field for field in fields if field.primary_key or (field.name in named) is not are_left_out]


def _whole(rows: Rows, kept: list[Columns], large: Names) -> list[Columns]:
    """Set the large fields of the rows, in place. Rows that were deleted since the first query are left out."""
    names = [(name, _size_of(name), _small(name)) for name in large]
    missing = set()
    for row in kept:
        for name, size, small in names:
            value, bytes_of_value = row.pop(small), row.pop(size)
            row[name] = value
            if value is None and (bytes_of_value or 0) > LEAST:  # a JSON null is small, and is read as None
                missing.add(row["id"])
    if not missing:
        return kept
    found = _read_large(rows, missing, large)
    return [row | found.get(row["id"], {}) for row in kept if row["id"] in found or row["id"] not in missing]


def _read_large(rows: Rows, ids: set[object], names: Names) -> dict[object, Columns]:
    read_again = rows.model._base_manager.using(rows.db).filter(pk__in=ids)
    return {pk: dict(zip(names, values, strict=True)) for pk, *values in read_again.values_list("pk", *names)}
