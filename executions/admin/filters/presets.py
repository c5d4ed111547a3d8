"""Presets of the list of runs: named sets of filters, shown as links."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin.pagination import NEWER, OLDER
from ledgerkit.types import StrOrPromise

VIEW = "view"  # parameter: the id of a saved view
# The unfiltered list. Without parameters the list redirects to the user's default saved view, if there is one.
EVERYTHING = {VIEW: "all"}

PRESETS: tuple[tuple[StrOrPromise, dict[str, str]], ...] = (
    (_("All"), EVERYTHING),
    (_("Needs attention"), {"attention": "any"}),
    (_("Failed today"), {"status": "failed", "ended": "today"}),
    (_("Completed with failed nodes"), {"status": "completed", "has_failed_nodes": "true"}),
    (_("Running"), {"status": "running"}),
    (_("Waiting"), {"status": "pending"}),
    (_("Slow"), {"pace": "slow"}),
    (_("Mine"), {"owner": "me"}),
)


@dataclass(frozen=True)
class Preset:
    title: StrOrPromise
    address: str
    is_chosen: bool


def visible_presets(query: QueryDict) -> list[Preset]:
    given = {name: value for name, value in query.items() if name not in {OLDER, NEWER}}
    return [Preset(title, runs_url(**filters), (given or EVERYTHING) == filters) for title, filters in PRESETS]


def runs_url(**filters: object) -> str:
    """Return the URL of the list of runs with `filters`."""
    return list_url("workflowexecution", **filters)


def list_url(model: str, /, **filters: object) -> str:
    """Return the URL of the list of a model with `filters`, of which one may have several values."""
    query = urlencode(filters, doseq=True)
    return reverse(f"admin:executions_{model}_changelist") + (f"?{query}" if query else "")
