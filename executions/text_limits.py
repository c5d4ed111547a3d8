"""Limits and repairs of reported texts (messages, errors, tracebacks, reasons). A report is never refused for its
content: a node that failed has failed, whatever its error contains. Characters that cannot be stored are made visible,
long texts are cut with a mark, an empty error becomes a sentence. Texts are masked before they are cut, because half of
a secret would not be found."""

import re
from collections.abc import Mapping

from django.db.models import Case, Model, Value, When

from ledgerkit.db.json_validation import to_storable_text

from .conf import executions_settings
from .states import ExecutionStatus

# Fields of a row or of an API body that hold a report, and the keys of EXECUTIONS that limit their bytes.
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


def make_storable(body: object) -> object:
    """Make the reported texts of a parsed body storable, in place; in a list, those of each item. Return the body."""
    for item in body if isinstance(body, list) else [body]:
        if isinstance(item, dict):
            item |= {
                name: to_storable_text(item[name])
                for name in LIMITS.keys() & item.keys()
                if isinstance(item[name], str)
            }
    return body


def standard_error(message: object, traceback: object = None) -> tuple[str, str | None]:
    """Return the message and the traceback of a failure as texts. `message` may be the exception. An empty message is
    replaced by a sentence that names the class of the exception if it is known."""
    trace = None if traceback is None else to_storable_text(traceback)
    text = "" if message is None else to_storable_text(message)
    if text.strip():
        return text, trace
    name = type(message).__name__ if isinstance(message, BaseException) else exception_class_in(trace or "")
    return (SILENT_CLASS.format(name=name) if name else SILENT), trace


def replace_blank_error(row: Model) -> None:
    """Replace the blank error of a failed row by a sentence, in place. NULL is kept: there is no error."""
    values = vars(row)
    message = values.get("error_message")
    if isinstance(message, str) and not message.strip() and values.get("status") == ExecutionStatus.FAILED:
        values["error_message"], _trace = standard_error(message, values.get("error_traceback"))


def with_standard_errors(changes: dict[str, object]) -> dict[str, object]:
    """Return the changes of an update(), with a sentence instead of a blank error for failed rows."""
    message = changes.get("error_message")
    if not isinstance(message, str) or message.strip():
        return changes
    if changes.get("status") == ExecutionStatus.FAILED:
        return changes | {"error_message": SILENT}
    has_failed = When(status=ExecutionStatus.FAILED, then=Value(SILENT))
    return changes | {"error_message": Case(has_failed, default=Value(message))}


def cut_to_limits(name: str, text: str) -> str:
    """Return the text cut to the limit of its field. A traceback keeps its end, which names the exception."""
    most: int = getattr(executions_settings, LIMITS[name])
    return cut_middle(text, most) if name == "error_traceback" else cut(text, most)


def cut(text: str, most: int, whole: int | None = None) -> str:
    """Return the beginning of the text and a mark if it has more than `most` bytes, else the same object. `whole` is
    the size of the text if only its beginning was read."""
    if whole is None and len(text) * 4 <= most:  # a character has at most 4 bytes; nearly every text returns here
        return text
    raw = text.encode()
    whole = whole or len(raw)
    if whole <= most:
        return text
    kept = _head(raw, most - len(MARK.format(gone=whole, whole=whole).encode()))
    return kept + MARK.format(gone=whole - len(kept.encode()), whole=whole)


def cut_middle(text: str, most: int) -> str:
    """Return the beginning and the end of the text with a mark between if it has more than `most` bytes."""
    if len(text) * 4 <= most or len(raw := text.encode()) <= most:
        return text
    room = max(0, most - len(MIDDLE.format(gone=len(raw), whole=len(raw)).encode()) - 2)
    head, tail = _head(raw, room // 2), raw[len(raw) - room // 2 :].decode("utf-8", "ignore")
    gone = len(raw) - len(head.encode()) - len(tail.encode())
    return f"{head}\n{MIDDLE.format(gone=gone, whole=len(raw))}\n{tail}"


def _head(raw: bytes, room: int) -> str:
    return raw[: max(0, room)].decode("utf-8", "ignore")  # not half of a character


def exception_class_in(traceback: str) -> str:
    """Return the class, without its module, that the last line of a traceback names; "" if there is none."""
    last = traceback.rstrip()[-LONGEST_LINE:].rpartition("\n")[2]
    found = RAISED.fullmatch(last) if len(last) < LONGEST_LINE else None  # a longer one may be the end of a line
    name = found[1].rpartition(".")[2] if found else ""
    return name if name[:1].isupper() else ""
