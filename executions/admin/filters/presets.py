"""What one looks for again and again in the list of runs: sets of its filters, and so addresses."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin.pagination import NEWER, OLDER

VIEW = "view"  # of the list: the id of a saved one
EVERYTHING = {
    VIEW: "all"
}  # the list without any filter; its bare address leads to a saved view where one is the default

PRESETS: tuple[tuple[Any, dict[str, str]], ...] = (
    (_("All"), EVERYTHING),
    (_("Failed today"), {"status": "failed", "ended": "today"}),
    (_("Completed with failed nodes"), {"status": "completed", "has_failed_nodes": "true"}),
    (_("Running"), {"status": "running"}),
    (_("Waiting"), {"status": "pending"}),
    (_("Slow"), {"pace": "slow"}),
    (_("Mine"), {"owner": "me"}),
)


@dataclass(frozen=True)
class Preset:
    title: Any
    address: str
    is_chosen: bool


def visible_presets(query: QueryDict) -> list[Preset]:
    given = {name: value for name, value in query.items() if name not in {OLDER, NEWER}}
    return [Preset(title, runs_url(**filters), (given or EVERYTHING) == filters) for title, filters in PRESETS]


def runs_url(**filters: Any) -> str:
    """The address of the list of runs that `filters` leave."""
    query = urlencode(filters)
    return reverse("admin:executions_workflowexecution_changelist") + (f"?{query}" if query else "")
