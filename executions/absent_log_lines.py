"""Lines that are not in a run's log, and why: those that retention has removed, those below the level that the workflow
stores, and those that are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import F, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions import log_gaps, partitions
from executions.log_gaps import MissingLines
from executions.models import DroppedLines, HistoryEntry, KeptRun, LogRemoval, WorkflowExecution
from workflows.retention_config import is_days

YOUNGEST = timedelta(days=1)  # the shortest rule: no line of a younger run has been removed


@dataclass(frozen=True)
class Removed:
    """Lines before a time were removed by a rule, all of them or those of `levels`."""

    before: datetime
    days: int
    levels: Sequence[str]
    archived: Sequence[str]

    @property
    def sentence(self) -> str:
        """Return the sentence that stands where the lines would be."""
        values = {"day": f"{self.before:%Y-%m-%d}", "days": self.days, "files": ", ".join(self.archived)}
        if self.levels and self.archived:
            text = _(
                "Lines of debug and info before %(day)s were removed by the %(days)d-day rule; archived: %(files)s."
            )
        elif self.levels:
            text = _("Lines of debug and info before %(day)s were removed by the %(days)d-day rule.")
        elif self.archived:
            text = _("Lines before %(day)s were removed by the %(days)d-day rule; archived: %(files)s.")
        else:
            text = _("Lines before %(day)s were removed by the %(days)d-day rule.")
        return text % values


class Dropped(NamedTuple):
    """So many lines below the level were not stored."""

    number: int
    level: str

    @property
    def sentence(self) -> str:
        values = {"number": f"{self.number:,}", "level": self.level}
        return ngettext(
            "%(number)s line below %(level)s was not stored.", "%(number)s lines below %(level)s were not stored.",
            self.number,
        ) % values  # fmt: skip


def removed_lines(run: WorkflowExecution, now: datetime | None = None) -> list[Removed]:
    """Return what was removed of the period of this run, for each set of levels."""
    now = now or timezone.now()
    start, end = min(filter(None, [run.created_at, run.started_at])), run.ended_at or now
    if start > now - YOUNGEST:
        return []
    found = LogRemoval.objects.filter(start__lt=end, end__gt=start, removed_at__gte=_stored_at(run))
    rows = list(found.order_by("start"))
    if not rows:
        return []
    kept_at = KeptRun.objects.filter(pk=run.pk).values_list("kept_at", flat=True).first()
    own = run.workflow.config.get("log_retention_days", 0)
    rows = [row for row in rows if not _was_protected(row, kept_at, own)]
    return [_merge([row for row in rows if row.levels == levels]) for levels in _sets(rows)]


def _stored_at(run: WorkflowExecution) -> Coalesce:
    """Return the time of the run's first history entry as an expression; without history, the time of the removal. An
    imported run may be of a time whose lines were removed before it was stored."""
    entries = HistoryEntry.objects.filter(workflow_execution=run.pk).order_by("happened_at")
    return Coalesce(Subquery(entries.values("happened_at")[:1]), F("removed_at"))


def dropped_lines(run: WorkflowExecution) -> Dropped | None:
    """Return how many lines of the run were below the level, None if there were none."""
    rows = DroppedLines.objects.filter(workflow_execution=run.pk)
    if number := rows.aggregate(number=Sum("number"))["number"]:
        return Dropped(number, rows.order_by("-id").values_list("level", flat=True)[0])
    return None


def missing_lines(run: WorkflowExecution, removed: Sequence[Removed], most: int = log_gaps.MAX_GAPS) -> MissingLines:
    """Return the first gaps in the numbers of the run's lines, but for those that the removal of lines has made."""
    since = partitions.bound(max(part.before for part in removed)) if removed else None
    return log_gaps.missing_lines(run.pk, most, since)


def _sets(rows: list[LogRemoval]) -> list[list[str]]:
    found: list[list[str]] = []
    for row in rows:
        if row.levels not in found:
            found.append(row.levels)
    return sorted(found, key=len)


def _merge(rows: list[LogRemoval]) -> Removed:
    last = rows[-1]
    return Removed(last.end, last.days, last.levels, [*dict.fromkeys(name for row in rows for name in row.files)])


def _was_protected(row: LogRemoval, kept_at: datetime | None, own: object) -> bool:
    """Return whether the lines of the run were left when the others of the period were removed."""
    if kept_at is not None and kept_at < row.first_removed_at:
        return True
    if own is None:
        return True
    return bool(own) and is_days(own) and isinstance(own, int) and row.end > row.removed_at - timedelta(days=own)
