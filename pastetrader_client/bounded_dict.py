"""Dicts of bounded size, which forget their oldest entries: the process of an engine may live for years."""

from contextlib import suppress


def remember[K, V](known: dict[K, V | None], key: K, value: V | None = None, *, most: int) -> None:
    """Add the key, and forget the oldest keys beyond `most`. Another thread may do the same meanwhile."""
    known[key] = value
    if len(known) > most:
        with suppress(RuntimeError, StopIteration):
            known.pop(next(iter(known)), None)
