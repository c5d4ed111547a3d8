"""The fingerprint of a failure: what equal failures have in common, and what a group shows that it was grouped by.

By default the exception's class and the traceback's own frames, where it has any; else the class and the message
without numbers, ids, times, quotations, addresses and paths. The key `error_grouping` of a workflow's config chooses
another rule for it. A fingerprint holds no text of a failure that may differ from failure to failure.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from executions.models import ErrorRule
from executions.text_limits import exception_class_in

from . import tracebacks
from .messages import NAMED, normalize_message

MESSAGE_LINES = 3  # of a message, which are not blank
MAX_TITLE_LENGTH = 500  # characters of a title, and of a message
MOST_TEXT = 20_000  # characters of a message that are looked at

type Values = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`digest` is equal for equal `values`, by which the failure is grouped under the rule."""

    rule: ErrorRule
    title: str
    values: Values

    @property
    def digest(self) -> str:
        text = json.dumps([self.rule, *sorted(self.values.items())], ensure_ascii=False)
        return hashlib.blake2s(text.encode(), digest_size=16).hexdigest()


def make_fingerprint(message: str | None, traceback: str | None, node: str, rule: ErrorRule) -> Fingerprint:
    """Return the fingerprint of a failure by the rule of its workflow. `node` is empty for an error of the run."""
    raised = tracebacks.parse(traceback or "")
    text = _normalize(message)
    exception = raised.exception or exception_class_in(traceback or "") or _class_in_message(message)
    return Fingerprint(rule, _title(exception, text), _values(rule, exception, raised.frames, text, node))


def overflow(rule: ErrorRule) -> Fingerprint:
    """Return the fingerprint of all further failures of a workflow that has too many different ones."""
    return Fingerprint(rule, "", {"message": "…"})


def _values(rule: ErrorRule, exception: str, frames: tuple[str, ...], text: str, node: str) -> Values:
    if rule == ErrorRule.NODE:
        return {"node": node}
    if rule == ErrorRule.CLASS and exception:
        return {"exception": exception}
    if rule == ErrorRule.TRACEBACK and frames:
        return {"exception": exception, "frames": list(frames)}
    return {"exception": exception, "message": text} if exception else {"message": text}


def _normalize(message: str | None) -> str:
    lines = (line for line in (message or "")[:MOST_TEXT].splitlines() if line.strip())
    first = [line for line, _place in zip(lines, range(MESSAGE_LINES), strict=False)]
    return "\n".join(normalize_message(line[:MAX_TITLE_LENGTH]) for line in first)[:MAX_TITLE_LENGTH]


def _class_in_message(message: str | None) -> str:
    found = NAMED.match((message or "")[:MOST_TEXT].lstrip()[:MAX_TITLE_LENGTH])
    return found[1] if found else ""


def _title(exception: str, text: str) -> str:
    line = text.partition("\n")[0]
    if not exception or exception in line.partition(":")[0]:
        return line
    return f"{exception}: {line}"[:MAX_TITLE_LENGTH] if line else exception
