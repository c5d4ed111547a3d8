"""Pages of the table of a run's nodes, a hundred rows each: a table of a thousand rows is slow and unreadable."""

from dataclasses import dataclass

from executions import limits
from executions.models import NodeExecution


@dataclass(frozen=True)
class NodePage:
    """A page of the table. Positions start at 1."""

    rows: list[NodeExecution]
    first: int
    total: int

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def before(self) -> int | None:
        """Return where the previous page begins."""
        return max(1, self.first - limits.NODES_PER_PAGE) if self.first > 1 else None

    @property
    def after(self) -> int | None:
        return self.last + 1 if self.last < self.total else None


def node_page(rows: list[NodeExecution], position: str) -> NodePage:
    """Return the page that starts at the position `position`, or the first page if it is invalid."""
    is_place = position.isascii() and position.isdigit() and len(position) < 6 and 1 <= int(position) <= len(rows)
    first = int(position) if is_place else 1
    return NodePage(rows[first - 1 :][: limits.NODES_PER_PAGE], first, len(rows))
