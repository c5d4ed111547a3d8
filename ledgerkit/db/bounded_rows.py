"""Read rows up to a total size in bytes.

The first query returns the size of each text and document, and the value itself if it is small. A second query reads
the large values, only for the rows within the limit: a page of four megabytes never reads a gigabyte.
"""

from django.db.models import Func, IntegerField, JSONField, Model, QuerySet, TextField

from ledgerkit.conf import ledgerkit_settings

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


def without_large_fields[Q: QuerySet[Model]](rows: Q, most: int) -> Q:
    """Return a query for read() that defers large texts and documents. At most `most` rows will be read from it."""
    names = large_fields(rows)
    share = max(LEAST, ledgerkit_settings.MAX_PAGE_BYTES // most)
    beside: dict[str, object] = {}
    for name in names:
        beside |= {_size_of(name): Size(name), _small(name): IfSmall(name, most=share)}
    return rows.defer(*names).annotate(**beside) if names else rows


def read[M: Model](rows: QuerySet[M], names: tuple[str, ...]) -> tuple[list[M], bool]:
    """Return the rows of a without_large_fields() query up to the size limit, complete, and whether rows were cut off.
    The first row is always returned."""
    found = list(rows)
    if not names:
        return found, False
    kept: list[M] = []
    room = ledgerkit_settings.MAX_PAGE_BYTES
    for row in found:
        room -= sum(vars(row)[_size_of(name)] or 0 for name in names)
        if kept and room < 0:
            break
        kept.append(row)
    return _whole(rows, kept, names), len(kept) < len(found)


def large_fields(rows: QuerySet[Model]) -> tuple[str, ...]:
    """Return the names of the text and JSON fields that a query reads."""
    named, are_left_out = rows.query.deferred_loading  # Django has no public API to read what defer() and only() set
    fields = [field.name for field in rows.model._meta.concrete_fields if isinstance(field, JSONField | TextField)]
    return tuple(name for name in fields if (name in named) is not are_left_out)


def _whole[M: Model](rows: QuerySet[M], kept: list[M], names: tuple[str, ...]) -> list[M]:
    """Read the large fields into the rows, in place. Rows that were deleted since the first query are left out."""
    fields = [(name, _size_of(name), _small(name)) for name in names]
    missing = {
        row.pk
        for row in kept
        # A JSON null is small, and is read as None.
        if any(vars(row)[small] is None and (vars(row)[size] or 0) > LEAST for _name, size, small in fields)
    }
    large = _read_large(rows, missing, names) if missing else {}
    for row in kept:
        values = vars(row)
        values |= large.get(row.pk) or {name: values[small] for name, _size, small in fields}
    return [row for row in kept if row.pk in large or row.pk not in missing]


def _read_large(rows: QuerySet[Model], ids: set[object], names: tuple[str, ...]) -> dict[object, dict[str, object]]:
    read_again = rows.model._base_manager.using(rows.db).filter(pk__in=ids)
    return {pk: dict(zip(names, values, strict=True)) for pk, *values in read_again.values_list("pk", *names)}
