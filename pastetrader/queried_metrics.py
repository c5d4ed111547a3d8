"""Metrics that are computed when somebody reads `/metrics`: a new one is a function in `QUERIED`."""

from collections.abc import Iterable, Iterator

from django.db import DatabaseError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from alerts.models import Channel, Delivery, DeliveryState, Miss
from executions.live import limits as streams
from executions.models import ExecutionStatus, WorkflowExecution
from executions.upkeep import last_upkeep
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


def upkeep_age() -> Iterator[Metric]:
    seconds = last_upkeep.age().total_seconds()
    yield GaugeMetricFamily("pastetrader_upkeep_age_seconds", "Seconds since upkeep ended.", seconds)


def open_streams() -> Iterator[Metric]:
    yield GaugeMetricFamily("pastetrader_streams", "Open streams of this server.", streams.count())


def expectations() -> Iterator[Metric]:
    missed = Miss.objects.filter(is_open=True).count()
    yield GaugeMetricFamily("pastetrader_expectations_missed", "Expectations that are missed now.", missed)


def alert_messages() -> Iterator[Metric]:
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING).order_by()[:COUNTED].count()
    yield GaugeMetricFamily("pastetrader_alert_messages_waiting", "Messages in the outbox of alerts.", waiting)
    disabled = Channel.objects.filter(is_active=False).exclude(disabled_at=None).count()
    yield GaugeMetricFamily("pastetrader_alert_channels_disabled", "Channels disabled after failures.", disabled)


QUERIED = (active_runs, upkeep_age, open_streams, expectations, alert_messages)


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
