"""Texts that report what happened. None of them is refused for what it holds: a node that failed has failed, whatever
its error says. What cannot be stored is made visible, what is too long is cut with a mark, and an error that says
nothing becomes a sentence. Masked first and cut then: half of a secret would be found by nobody."""

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import Case, Value, When

from ledgerkit.db.json_validation import to_storable_text

from .conf import executions_settings
from .states import ExecutionStatus

# The fields that report, of a row or at the top of a body of the API, and the settings that limit their bytes.
LIMITS: Mapping[str, str] = {
    "message": "MAX_MESSAGE_BYTES",
    "error_message": "MAX_ERROR_BYTES",
    "error_traceback": "MAX_TRACEBACK_BYTES",
    "reason": "MAX_REASON_BYTES",
}
ERRORS = ("error_message", "error_traceback")
MARK = "… [cut off: {gone:,} of {whole:,} bytes]"
MIDDLE = f"{MARK} …"
SILENT = "Failed without an error message."
SILENT_CLASS = "{name} without an error message."
# The last line of a traceback: the exception's class, with its modules, alone or before a message.
RAISED = re.compile(r"((?:[^\W\d]\w*\.)*[^\W\d_]\w*)(?::.*)?", re.ASCII)
LONGEST_LINE = 1_000


def visible(body: object) -> Any:
    """Return a parsed body with the texts of its reports made storable, in place. Of a list, those of each item."""
    for item in body if isinstance(body, list) else [body]:
        if isinstance(item, dict):
            item |= {
                name: to_storable_text(item[name])
                for name in LIMITS.keys() & item.keys()
                if isinstance(item[name], str)
            }
    return body


def error(message: object, traceback: object = None) -> tuple[str, str | None]:
    """Return the message and the traceback of a failure, as texts. `message` may be the exception itself, and a message
    that says nothing names the class of the exception where that is known."""
    trace = None if traceback is None else to_storable_text(traceback)
    text = "" if message is None else to_storable_text(message)
    if text.strip():
        return text, trace
    name = type(message).__name__ if isinstance(message, BaseException) else class_in(trace or "")
    return (SILENT_CLASS.format(name=name) if name else SILENT), trace


def complete(row: Any) -> None:
    """Give a failed row whose error says nothing a sentence, in place. NULL stays: it says that there is no error."""
    values = vars(row)
    message = values.get("error_message")
    if values.get("status") == ExecutionStatus.FAILED and isinstance(message, str) and not message.strip():
        row.error_message, _trace = error(message, values.get("error_traceback"))


def with_standard_errors(changes: dict[str, object]) -> dict[str, object]:
    """Return what update() is about to write to many rows, with a sentence for an empty error of those that failed."""
    message = changes.get("error_message")
    if not isinstance(message, str) or message.strip():
        return changes
    if changes.get("status") == ExecutionStatus.FAILED:
        return changes | {"error_message": SILENT}
    has_failed = When(status=ExecutionStatus.FAILED, then=Value(SILENT))
    return changes | {"error_message": Case(has_failed, default=Value(message))}


def cut_to_limits(name: str, text: str) -> str:
    """Return the text of the report `name` within its limit. A traceback keeps its end, which says what was raised."""
    most: int = getattr(executions_settings, LIMITS[name])
    return cut_middle(text, most) if name == "error_traceback" else cut(text, most)


def cut(text: str, most: int, whole: int | None = None) -> str:
    """Return the text, the same object where it has at most that many bytes; else its beginning and a mark. `whole` is
    the size of a text of which only the beginning is at hand."""
    if whole is None and len(text) * 4 <= most:  # whatever the letters, and nearly every text
        return text
    raw = text.encode()
    whole = whole or len(raw)
    if whole <= most:
        return text
    kept = _head(raw, most - len(MARK.format(gone=whole, whole=whole).encode()))
    return kept + MARK.format(gone=whole - len(kept.encode()), whole=whole)


def cut_middle(text: str, most: int) -> str:
    """Return the text as cut() does, but with as much of its end as of its beginning around the mark."""
    if len(text) * 4 <= most or len(raw := text.encode()) <= most:
        return text
    room = max(0, most - len(MIDDLE.format(gone=len(raw), whole=len(raw)).encode()) - 2)
    head, tail = _head(raw, room // 2), raw[len(raw) - room // 2 :].decode("utf-8", "ignore")
    gone = len(raw) - len(head.encode()) - len(tail.encode())
    return f"{head}\n{MIDDLE.format(gone=gone, whole=len(raw))}\n{tail}"


def _head(raw: bytes, room: int) -> str:
    return raw[: max(0, room)].decode("utf-8", "ignore")  # not half of a character


def class_in(traceback: str) -> str:
    """Return the name of the class that the last line of a traceback names, without its modules, or ""."""
    last = traceback.rstrip()[-LONGEST_LINE:].rpartition("\n")[2]
    found = RAISED.fullmatch(last) if len(last) < LONGEST_LINE else None  # else maybe the end of a line
    name = found[1].rpartition(".")[2] if found else ""
    return name if name[:1].isupper() else ""
