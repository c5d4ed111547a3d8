"""Dicts that forget their oldest entries: a process of an engine may live for years."""

from contextlib import suppress


def remember[K, V](known: dict[K, V | None], key: K, value: V | None = None, *, most: int) -> None:
    """Add the key; forget the oldest of more than so many. Another thread may do so at the same time."""
    known[key] = value
    if len(known) > most:
        with suppress(RuntimeError, StopIteration):
            known.pop(next(iter(known)), None)
