"""A task of upkeep, and its result."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from ledgerkit.types import StrOrPromise

type Progress = Callable[[int, int], None]  # rows that are done, and of all


@dataclass
class Result:
    """The work of a task, done or planned: rows, bytes (an estimate), and sentences about what deserves one."""

    rows: int = 0
    size: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        self.rows += other.rows
        self.size += other.size
        self.notes += other.notes

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """`plan()` counts and changes nothing; `apply()` does it. The title says what is counted."""

    name: str
    title: StrOrPromise
    plan: Callable[[], Result]
    apply: Callable[[Progress], Result]
