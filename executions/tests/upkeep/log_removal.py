"""The removal of old log lines, and the lines that remain."""

from executions.models import ExecutionLog
from executions.upkeep import log_retention


def remove_lines() -> int:
    return log_retention.apply(lambda *_: None).rows


def lines() -> set[str]:
    return set(ExecutionLog.objects.values_list("message", flat=True))
