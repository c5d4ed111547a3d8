"""Rules for which log lines are over: those of whole partitions, but for the lines of runs that are protected."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from executions.conf import executions_settings
from executions.partitions import Partition
from executions.states import LogLevel

from .run_rules import workflow_days

DETAILS = (LogLevel.DEBUG, LogLevel.INFO)


@dataclass(frozen=True)
class LogRule:
    """Lines are removed after so many days: of all levels, or of `levels`."""

    days: int
    levels: tuple[LogLevel, ...] = ()

    def covers(self, partition: Partition, now: datetime) -> bool:
        return partition.end <= now - timedelta(days=self.days)

    def __str__(self) -> str:
        return f"{' and '.join(self.levels) or 'all'} lines older than {self.days} days"


def rule_of(partition: Partition, now: datetime) -> LogRule | None:
    """Return the rule by which lines of the partition are over, None if there is none."""
    return next((rule for rule in _rules() if rule.covers(partition, now)), None)


def _rules() -> list[LogRule]:
    """Return the rules, that of all levels first."""
    days, details = executions_settings.LOG_DAYS, executions_settings.DETAIL_LOG_DAYS
    rules = [] if days is None else [LogRule(days)]
    if details is not None and (days is None or details < days):
        rules.append(LogRule(details, DETAILS))
    return rules


def protected_workflows(partition: Partition, now: datetime) -> list[UUID]:
    """Return the workflows whose own rule keeps the lines of this partition."""
    rules = workflow_days("log_retention_days").items()
    return [id for id, days in rules if days is None or partition.end > now - timedelta(days=days)]
