"""Time at which the next run of a workflow is expected. Other apps register functions that return it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from workflows.querysets import User


@dataclass(frozen=True)
class ExpectedRun:
    """A run that is expected next: `sentence` says which, `due` until when. `is_missed`: that time is over."""

    due: datetime
    sentence: str
    is_missed: bool


# Returns what is expected of each of these workflows that the user may see, by as many queries as for one.
type Source = Callable[[User, Collection[UUID]], Mapping[UUID, ExpectedRun]]

_sources: list[Source] = []


def register(source: Source) -> None:
    if source not in _sources:
        _sources.append(source)


def has_sources() -> bool:
    return bool(_sources)


def find_expected_runs(user: User, workflows: Collection[UUID]) -> dict[UUID, ExpectedRun]:
    """Return what is due first of each workflow."""
    found: dict[UUID, ExpectedRun] = {}
    for source in _sources:
        for workflow, expected in source(user, workflows).items():
            found[workflow] = min(expected, found.get(workflow, expected), key=lambda each: each.due)
    return found
