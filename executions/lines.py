"""What every log line goes through before it is stored, by whatever door: made text, masked, cut where it is long."""

from collections.abc import Iterator, Sequence
from typing import Any

from . import vault

ADD_LINE = "add a line to"
MAX_MESSAGE = 65_536  # bytes of UTF-8; the database holds it too
MARK = "… [cut off: {gone:,} of {whole:,} bytes]"


def prepare(lines: Sequence[Any], using: str | None = None) -> None:
    """In place, all of them or none. Raises what ExecutionLog.clean_text() raises, and SecretsUnknown.

    Masked first and cut then: half of a secret would be found by nobody.
    """
    for line in lines:
        line.clean_text()
    vault.guard_rows(lines, ADD_LINE, using)
    for line in lines:
        message = cut(line.message)
        if message is not line.message:
            line.message, line.is_cut = message, True


def as_stored(line: Any, fields: vault.Fields) -> Iterator[tuple[Any, vault.Fields]]:
    """As those of other rows, and cut."""
    return vault.as_stored(
        line, fields, lambda stored: {name: cut(text) if name == "message" else text for name, text in stored.items()}
    )


def cut(message: str) -> str:
    """The same object where it is short enough; else as much of its beginning as MARK leaves room for."""
    if len(message) * 4 <= MAX_MESSAGE:  # whatever the letters, and nearly every message
        return message
    text = message.encode()
    if len(text) <= MAX_MESSAGE:
        return message
    room = MAX_MESSAGE - len(MARK.format(gone=len(text), whole=len(text)).encode())
    kept = text[:room].decode("utf-8", "ignore")  # not half of a character
    return kept + MARK.format(gone=len(text) - len(kept.encode()), whole=len(text))
