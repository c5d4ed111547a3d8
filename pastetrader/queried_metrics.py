"""Metrics that are computed when somebody reads `/metrics`: a new one is a function in `QUERIED`."""

from collections.abc import Iterable, Iterator

from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from executions.live import limits as streams
from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution
from executions.upkeep import age
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

COUNTED = 10_000  # runs of a status, at most
QUERY_MS = 1_000


def active_runs() -> Iterator[Metric]:
    """Count pending and running runs. Those that ended are too many: transitions are counted."""
    family = GaugeMetricFamily("pastetrader_runs", f"Runs that have not ended, {COUNTED} at most.", labels=["status"])
    for status in (ExecutionStatus.PENDING, ExecutionStatus.RUNNING):
        rows = WorkflowExecution.objects.filter(status=status).order_by()[:COUNTED]
        family.add_metric([str(status)], rows.count())
    yield family


def live_leases() -> Iterator[Metric]:
    """Count leases of running attempts that have not expired. The query begins with the running rows, which are few."""
    family = GaugeMetricFamily(
        "pastetrader_live_leases", f"Leases of running attempts that have not expired, {COUNTED} at most.",
        labels=["row"],
    )  # fmt: skip
    for model in (WorkflowExecution, NodeExecution):
        current = model.objects.filter(
            status=ExecutionStatus.RUNNING, leases__attempt=F("attempt"), leases__lapsed_at=None,
            leases__expires_at__gt=Now(),
        )  # fmt: skip
        family.add_metric([str(model._meta.model_name)], current.order_by()[:COUNTED].count())
    yield family


def upkeep_age() -> Iterator[Metric]:
    seconds = age.age().total_seconds()
    yield GaugeMetricFamily("pastetrader_upkeep_age_seconds", "Seconds since upkeep ended.", seconds)


def open_streams() -> Iterator[Metric]:
    yield GaugeMetricFamily("pastetrader_streams", "Open streams of this server.", streams.count())


QUERIED = (active_runs, live_leases, upkeep_age, open_streams)


class LedgerCollector(Collector):
    """The results of QUERIED. One that cannot be read in time is left out."""

    def collect(self) -> Iterable[Metric]:
        for query in QUERIED:
            try:
                with statement_timeout(QUERY_MS):
                    found = [*query()]
            except (DatabaseError, StatementTimeout):
                continue
            yield from found
