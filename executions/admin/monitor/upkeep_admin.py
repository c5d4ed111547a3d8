"""List of the calls of upkeep, and the page of each: what every task did. Read-only for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from executions.admin.base import ReadOnlyAdmin
from executions.admin.types import Context
from executions.models import UpkeepRun
from executions.upkeep.runner import TITLES
from ledgerkit.types import StrOrPromise


@dataclass(frozen=True, slots=True)
class UpkeepRow:
    """A call of upkeep: the numbers of the tasks that did something, and the names of those that failed."""

    record: UpkeepRun
    done: list[tuple[StrOrPromise, int]]
    failed: list[StrOrPromise]

    @property
    def seconds(self) -> float | None:
        ended = self.record.ended_at
        return (ended - self.record.started_at).total_seconds() if ended else None


@admin.register(UpkeepRun)
class UpkeepRunAdmin(ReadOnlyAdmin):
    headers: ClassVar[dict[str, StrOrPromise]] = {
        "time": _("started"),
        "host": _("host"),
        "duration": _("duration"),
        "results": _("results"),
    }
    related = ()
    keyset = ("started_at", "id")
    columns = ("started_at", "ended_at", "progressed_at", "is_interrupted", "host", "results")
    search_help_text = _("The id of an upkeep")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def present_rows(self, request: HttpRequest, rows: Sequence[UpkeepRun]) -> Sequence[UpkeepRow]:
        return [present(record) for record in rows]

    def page_context(self, request: HttpRequest, row: UpkeepRun) -> Context:
        results = [{**each, "title": TITLES.get(each["task"], each["task"])} for each in row.results]
        return {"upkeep": present(row), "results": results}


def present(record: UpkeepRun) -> UpkeepRow:
    named = [(TITLES.get(each["task"], each["task"]), each) for each in record.results]
    return UpkeepRow(
        record,
        [(title, each["rows"]) for title, each in named if each["rows"] and not each["error"]],
        [title for title, each in named if each["error"]],
    )
