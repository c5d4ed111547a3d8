"""The caller of a call with facts, and what they see."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, by the key of their user. `may(kind, owner)` raises BadFact for what they may not do. `release()` is
    called before texts are masked: a request gives its connection back meanwhile. `max_partitions` is how many
    partitions of log lines the call may make."""

    user: Any
    may: Callable[[str, object], None]
    release: Callable[[], None]
    sees_all_runs: bool = False  # and not only those of their own workflows
    sees_all_workflows: bool = False
    bound_to: Collection[UUID] = ()  # the only workflows that they see, if there are any
    max_partitions: int | None = None

    def is_bound_to(self, workflow: UUID) -> bool:
        return not self.bound_to or workflow in self.bound_to

    def sees_run(self, workflow: UUID, owner: object) -> bool:
        return (self.sees_all_runs or owner == self.user) and self.is_bound_to(workflow)
