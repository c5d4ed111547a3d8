"""One line of the monitor: when upkeep ran last, and how many runs the next one removes."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from executions import limits
from executions.conf import executions_settings
from executions.models import UpkeepRun
from executions.upkeep import last_upkeep
from executions.upkeep.run_rules import count_removable_runs


@dataclass(frozen=True)
class LastUpkeep:
    """`record` is None if upkeep never ran. `number` counts at most limits.COUNTED_RETENTION runs. `unfinished`, where
    upkeep is late, is the newest one if it has not ended: it hangs, or its process was killed. `is_archived` says
    whether runs are archived before they are removed."""

    record: UpkeepRun | None
    has_failed: bool
    number: int
    is_more: bool
    is_late: bool
    unfinished: UpkeepRun | None
    is_archived: bool


def find_last_upkeep(user: Any) -> LastUpkeep | None:
    """Return the last upkeep, None for users who may not see it. The runs are counted in an index."""
    if not user.has_perm("executions.view_upkeeprun"):
        return None
    records = UpkeepRun.objects.visible_to(user)
    record = records.filter(~Q(ended_at=None)).only("started_at", "ended_at", "results").first()
    number = count_removable_runs(limits.COUNTED_RETENTION + 1)
    has_failed = record is not None and any(each["error"] for each in record.results)
    most, is_late = limits.COUNTED_RETENTION, last_upkeep.is_late()
    newest = records.only("started_at", "ended_at", "is_interrupted").first() if is_late else None
    unfinished = newest if newest and not newest.ended_at and not newest.is_interrupted else None
    return LastUpkeep(
        record, has_failed, min(number, most), is_more=number > most, is_late=is_late, unfinished=unfinished,
        is_archived=bool(executions_settings.ARCHIVE),
    )  # fmt: skip
