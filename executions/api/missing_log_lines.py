"""Log lines that a page of a run's log lacks: those that retention removed, and those below the workflow's level."""

from typing import Any

from executions import absent_log_lines
from executions.models import LogLevel, WorkflowExecution
from ledgerkit.rest.pagination import KeysetPagination

COUNT = {"type": "integer"}
LEVEL = {"type": "string", "enum": LogLevel.values}
REMOVED = {
    "before": {"type": "string", "format": "date-time"},
    "days": COUNT,
    "levels": {"type": "array", "items": LEVEL},
    "archived": {"type": "array", "items": {"type": "string"}},
    "detail": {"type": "string"},
}
DROPPED = {"number": COUNT, "level": LEVEL, "detail": {"type": "string"}}


class LogPagination(KeysetPagination):
    """Pages of a run's log, with `removed` and `dropped` if there is anything of the kind."""

    schema_suffix = "PageOfRun"

    def get_paginated_response_schema(self, schema: dict[str, object]) -> dict[str, object]:
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        page["properties"] |= {"removed": {"type": "array", "items": _object(REMOVED)}, "dropped": _object(DROPPED)}
        return page


def absent_lines(run: WorkflowExecution) -> dict[str, object]:
    found: dict[str, object] = {}
    if removed := absent_log_lines.removed_lines(run):
        found["removed"] = [
            {
                "before": part.before, "days": part.days, "levels": part.levels, "archived": part.archived,
                "detail": part.sentence,
            }
            for part in removed
        ]  # fmt: skip
    if dropped := absent_log_lines.dropped_lines(run):
        found["dropped"] = {"number": dropped.number, "level": dropped.level, "detail": dropped.sentence}
    return found


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "required": list(properties), "properties": properties}
