"""Dicts that forget their oldest entries: a process of an engine may live for years."""


def remember[K, V](known: dict[K, V | None], key: K, value: V | None = None, *, most: int) -> None:
    """Add the key; forget the oldest of more than so many."""
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]
