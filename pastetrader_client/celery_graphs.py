"""The nodes and edges that Celery knows before a task runs: its chain, and the body of its chord."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .graphs import Stages

type Signature = Mapping[str, Any]

MOST_NAMES, MOST_BYTES = 100, 4_000  # limits of a header


def stages_of(name: str, chain: Sequence[Signature] | None, chord: Signature | None) -> Stages:
    """Return the stages from the task on. Celery keeps a chain in reverse."""
    following = [tasks for each in reversed(chain or ()) for tasks in _stages(each)]
    return (name,), *following, *(_stages(chord) if chord else ())


def _stages(signature: Signature) -> Stages:
    kwargs = signature.get("kwargs") or {}
    match signature.get("task"):
        case "celery.group":
            return (_first_names(kwargs.get("tasks", ())),)
        case "celery.chord":
            header = kwargs.get("header") or {}
            tasks = (header.get("kwargs") or {}).get("tasks", ()) if isinstance(header, Mapping) else header
            return _first_names(tasks), *_stages(kwargs.get("body") or {})
        case "celery.chain":
            return tuple(stage for each in kwargs.get("tasks", ()) for stage in _stages(each))
        case str(name):
            return ((name,),)
    return ()


def _first_names(tasks: Iterable[Signature]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in tasks for stage in _stages(each)[:1] for name in stage))


def header_of(stages: Stages) -> str | None:
    """Return the stages as a header of messages, None if they are too many."""
    written = json.dumps(stages, separators=(",", ":"))
    is_small = len(written) <= MOST_BYTES and sum(map(len, stages)) <= MOST_NAMES
    return written if is_small else None


def stages_in(header: object) -> Stages:
    """Parse the stages of a header. Return no stages if it is invalid."""
    try:
        found = json.loads(header) if isinstance(header, str) and len(header) <= MOST_BYTES else ()
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list) or not all(isinstance(stage, list) for stage in found):
        return ()
    is_of_names = all(isinstance(name, str) for stage in found for name in stage)
    return tuple(map(tuple, found)) if is_of_names else ()
