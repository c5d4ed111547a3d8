"""The keys of a run's context and metadata that mean something here, and what each may hold.

Unknown keys are kept as they are. A known key may be null, or hold a mask.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from workflows.base import parse_uuid
from workflows.storable import is_whole

from .secrets import MASK

type Kind = tuple[str, Callable[[Any], bool]]


OBJECT: Kind = ("an object", lambda value: isinstance(value, dict))
STRING: Kind = ("a string", lambda value: isinstance(value, str))
STRINGS: Kind = ("a list of strings", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value))
BOOLEAN: Kind = ("true or false", lambda value: isinstance(value, bool))
INTEGER: Kind = ("a whole number", is_whole)
NUMBER: Kind = ("a number", lambda value: is_whole(value) or isinstance(value, float))
NAME: Kind = ("a string or a whole number", lambda value: isinstance(value, str) or is_whole(value))
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
    },
    "metadata": {
        "triggered_by": STRING,
        "schedule_id": STRING,
        "priority": NAME,
        "tags": STRINGS,
        "allow_concurrent": BOOLEAN,
        "timeout_seconds": NUMBER,
        "correlation_id": STRING,
    },
}


def check(field: str, value: Any) -> None:
    """Raises ValidationError on `field`, with a sentence for each known key of the wrong type, path first."""
    if not isinstance(value, dict):
        raise ValidationError({field: f"{field}: expected an object."})
    wrong = [
        f"{field}.{path}: expected {expected}."
        for path, (expected, fits) in KNOWN[field].items()
        if (found := _at(value, path)) is not None and not (fits(found) or _is_masked(found))
    ]
    if wrong:
        raise ValidationError({field: wrong})


def _is_masked(value: Any) -> bool:
    """A secret stood there: what has been stored so may be saved again."""
    return isinstance(value, str) and MASK in value


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
