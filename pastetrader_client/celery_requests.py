"""Parts of the requests and errors that Celery hands to its signals."""

from typing import Any


def key_of(task_id: str, nesting: int | None) -> str:
    """Return the key of a task's node. A task that replaces another has the same id."""
    return f"{task_id}:{nesting}" if nesting else task_id


def root_of(request: Any) -> str:
    """Return the id of the group or task that began the run of a task without headers."""
    is_first = request.parent_id is None
    return str(request.group if is_first and request.group else request.root_id or request.id)


def is_alone(request: Any) -> bool:
    """Return whether the task is neither part of a group, chain or chord nor sent by another task."""
    return not (request.group or request.chain or request.chord or request.parent_id)


def traceback_of(einfo: Any) -> str | None:
    """Return the text of the traceback in the `einfo` of a signal."""
    return str(getattr(einfo, "traceback", "") or "") or None
