"""The known keys of a run's context and metadata, and the type of each; and the times that an engine may give.

Unknown keys are accepted. A known key may be null or masked.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import json_validation, names
from ledgerkit.db.json_validation import is_integer
from ledgerkit.db.models import parse_uuid
from workflows.secret_keys import MASK

MAX_TAG = 255  # characters
MOST_FAULTS = 20  # listed in one error
LONG_TAG = _("a tag has at most {most} characters: choose a shorter one.")

AHEAD = timedelta(minutes=5)  # a clock that is this fast is believed
IN_FUTURE = _("more than five minutes after the server's time.")
QUEUED = _("a queued run waits for the other runs of its workflow: leave out metadata.allow_concurrent.")
BEFORE_START = _("before its start, which was at {start}.")

type Kind = tuple[str, Callable[[object], bool]]


TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
OBJECT: Kind = ("an object", lambda value: isinstance(value, dict))
STRING: Kind = ("a string", lambda value: isinstance(value, str))
STRINGS: Kind = ("a list of strings", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value))
BOOLEAN: Kind = ("true or false", lambda value: isinstance(value, bool))
INTEGER: Kind = ("a whole number", is_integer)
NUMBER: Kind = ("a number", lambda value: is_integer(value) or isinstance(value, float))
NAME: Kind = ("a string or a whole number", lambda value: isinstance(value, str) or is_integer(value))
TRACE: Kind = ("a W3C traceparent", lambda value: isinstance(value, str) and is_traceparent(value))
ID: Kind = ("a UUID", lambda value: parse_uuid(value) is not None)

KNOWN: Mapping[str, Mapping[str, Kind]] = {
    "context": {
        "variables": OBJECT,
        "secrets": OBJECT,
        "environment": OBJECT,
        "parent_execution_id": ID,
        "retry_info": OBJECT,
        "retry_info.attempt": INTEGER,
        "retry_info.max_attempts": INTEGER,
        "rerun": OBJECT,
    },
    "metadata": {
        "triggered_by": STRING,
        "schedule_id": STRING,
        "priority": NAME,
        "tags": STRINGS,
        "allow_concurrent": BOOLEAN,
        "timeout_seconds": NUMBER,
        "correlation_id": STRING,
        "traceparent": TRACE,
        "rerun_of": ID,
    },
}


def is_traceparent(text: str) -> bool:
    """Return whether the text is a traceparent of version 00 (W3C Trace Context), whose ids are not zero."""
    return TRACEPARENT.fullmatch(text) is not None


def check(field: str, value: object) -> None:
    """Raise ValidationError on `field`, with one message for each known key of the wrong type, starting with its
    path."""
    if not isinstance(value, dict):
        raise ValidationError({field: f"{field}: expected an object."})
    wrong = [
        f"{field}.{path}: expected {expected}."
        for path, (expected, fits) in KNOWN[field].items()
        if (found := _at(value, path)) is not None and not (fits(found) or _is_masked(found))
    ]
    wrong += _faults_of_tags(field, value)
    if wrong:
        raise ValidationError({field: wrong})


def with_names(metadata: Any) -> object:
    """Return the metadata with normalized tags; the same object if they are normalized already."""
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if not isinstance(tags, list) or all(not isinstance(tag, str) or tag.isascii() for tag in tags):
        return metadata
    return metadata | {"tags": [names.nfc(tag) if isinstance(tag, str) else tag for tag in tags]}


def _faults_of_tags(field: str, value: dict[str, object]) -> list[str]:
    tags = value.get("tags") if field == "metadata" else None
    if not isinstance(tags, list):
        return []
    found = ((place, _fault_of(tag)) for place, tag in enumerate(tags) if isinstance(tag, str))
    return [f"{field}.tags.{place}: {fault}" for place, fault in found if fault][:MOST_FAULTS]


def _fault_of(tag: str) -> object:
    return format_lazy(LONG_TAG, most=MAX_TAG) if len(tag) > MAX_TAG else names.find_error(tag)


def _is_masked(value: object) -> bool:
    """Return whether the value contains a mask: a stored value may be saved again."""
    return isinstance(value, str) and MASK in value


def _at(value: object, path: str) -> object:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def check_at(at: datetime | None) -> None:
    """Raise ValidationError for an engine's time that is in the future, or outside the years that readers support."""
    if at is None:
        return
    json_validation.check_moment("at", at)
    if at.astimezone(UTC) > datetime.now(UTC) + AHEAD:
        raise ValidationError({"at": ValidationError(IN_FUTURE, "at_in_future")})


def end_before_start(start: datetime) -> ValidationError:
    """Return the error of an end whose time is before the start."""
    sentence = format_lazy(BEFORE_START, start=start.astimezone(UTC).isoformat())
    return ValidationError({"at": ValidationError(sentence, "end_before_start")})


def check_queued(metadata: object) -> None:
    """Raise ValidationError if a queued run may run beside others."""
    if isinstance(metadata, Mapping) and metadata.get("allow_concurrent") is True:
        raise ValidationError({"is_queued": QUEUED})
