"""Percentiles of the durations of a workflow's recent runs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, DurationField, F
from django.utils.translation import gettext as _

from executions import limits, rollups
from executions.admin import formatting
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

MIN_RUNS = rollups.USUAL_RUNS  # completed runs or node executions needed
DURATION = F("ended_at") - F("started_at")


class Percentiles(Aggregate):
    """Aggregate of the 50th and 95th percentile of a duration."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = ArrayField(DurationField())


@dataclass(frozen=True)
class DurationPercentiles:
    """Median and 95th percentile of durations, in seconds."""

    p50: float
    p95: float

    @cached_property
    def sentence(self) -> str:
        """Say what is usual, once for all runs of the workflow on a page."""
        known = {"p50": formatting.format_duration(self.p50), "p95": formatting.format_duration(self.p95)}
        return _("Of this workflow’s last 7 days, half took up to %(p50)s, and 95 of 100 up to %(p95)s.") % known

    @classmethod
    def read(cls, percentiles: list[timedelta] | None, number: int) -> Self | None:
        """Convert the result of Percentiles over `number` durations; None if they are fewer than MIN_RUNS."""
        if not percentiles or number < MIN_RUNS:
            return None
        return cls(*(each.total_seconds() for each in percentiles))


class PercentileTexts:
    """Mixin with the percentiles of `usual` as text."""

    usual: DurationPercentiles | None

    @property
    def p50(self) -> str:
        return formatting.format_duration(self.usual.p50) if self.usual else "–"

    @property
    def p95(self) -> str:
        return formatting.format_duration(self.usual.p95) if self.usual else "–"


def get_percentiles(workflows: Collection[UUID]) -> dict[UUID, DurationPercentiles]:
    """Return the percentiles of each workflow with enough completed runs; an empty dict if the query times out."""
    try:
        with statement_timeout(limits.PERCENTILES_MS):
            found = rollups.usual_durations(rollups.usual_since(), MIN_RUNS, workflows)
    except StatementTimeout:
        return {}
    return {each.workflow: DurationPercentiles(each.p50, each.p95) for each in found}
