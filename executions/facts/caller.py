"""The caller who reports facts, and their rights."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, by the key of their user. `may(kind, owner)` raises BadFact without the right. `release()` is called
    before texts are masked, so that a request gives its connection back meanwhile. `max_partitions` limits the
    partitions of log lines that the call may create."""

    user: Any
    may: Callable[[str, object], None]
    release: Callable[[], None]
    sees_all_runs: bool = False  # else only runs of their own workflows
    sees_all_workflows: bool = False
    bound_to: Collection[UUID] = ()  # if not empty, the only visible workflows
    max_partitions: int | None = None

    def is_bound_to(self, workflow: UUID) -> bool:
        return not self.bound_to or workflow in self.bound_to

    def sees_run(self, workflow: UUID, owner: object) -> bool:
        return (self.sees_all_runs or owner == self.user) and self.is_bound_to(workflow)
