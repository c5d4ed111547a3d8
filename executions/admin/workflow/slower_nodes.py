"""The nodes of a workflow that take longer than in the week before: the medians of two weeks."""

from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from executions.admin import formatting
from executions.admin.nodes import median_durations
from executions.admin.types import User

MAX_NODES = 10


@dataclass(frozen=True)
class SlowerNode:
    """A node whose median of this week is longer than that of the week before, both in seconds."""

    node: UUID
    name: str
    now: float
    before: float

    @property
    def now_text(self) -> str:
        return formatting.format_duration(self.now)

    @property
    def before_text(self) -> str:
        return formatting.format_duration(self.before)

    @property
    def change(self) -> str:
        return _("%(percent)d %% longer") % {"percent": round(100 * (self.now / self.before - 1))}


@dataclass(frozen=True)
class Weeks:
    """The nodes that are slower than before, and the numbers of runs that were compared."""

    slower: list[SlowerNode]
    runs: int
    runs_before: int


def slower_nodes(user: User, workflow: UUID, nodes: int) -> Weeks:
    """Compare the newest completed runs of the last 7 days with those of the 7 days before."""
    now, before = median_durations.medians_of_two_weeks(user, workflow, timezone.now(), nodes)
    both = ((row, before.seconds(row.node)) for row in now.nodes.values())
    found = [SlowerNode(row.node, row.name, row.seconds, seconds) for row, seconds in both if seconds is not None]
    slower = sorted(filter(_is_slower, found), key=lambda each: each.now / each.before, reverse=True)
    return Weeks(slower[:MAX_NODES], now.runs, before.runs)


def _is_slower(node: SlowerNode) -> bool:
    return median_durations.is_slower(node.now, node.before)
