"""History of a run for its page."""

from typing import Any

from executions.admin.types import User
from executions.audit import Through
from executions.models import HistoryEntry, WorkflowExecution
from executions.states import ExecutionStatus

SHOWN = 100


def newest_entries(run: WorkflowExecution, user: User) -> tuple[list[HistoryEntry], bool]:
    """Return the last entries, oldest first, and whether there are more. Entries of the run itself are always included,
    because the end of a run may settle hundreds of nodes."""
    entries = run.history.visible_to(user).select_related("node_execution").only(
        "act", "from_status", "to_status", "attempt", "through", "username", "token_name", "reason", "request_id",
        "happened_at", "node_execution__node_name",
    )  # fmt: skip
    entries = entries.order_by("-happened_at", "-id")
    last = list(entries[: SHOWN + 1])
    more = len(last) > SHOWN
    of_run = entries.filter(node_execution=None)[:SHOWN] if more else ()
    found = {entry.pk: entry for entry in (*last[:SHOWN], *of_run)}
    return _with_labels(sorted(found.values(), key=lambda entry: (entry.happened_at, entry.pk))), more


def _with_labels(entries: list[Any]) -> list[HistoryEntry]:
    """Set the translated labels on each entry, translating each text once; return the entries."""
    statuses = {status: str(word) for status, word in ExecutionStatus.choices}
    ways = {way: str(word) for way, word in Through.choices}
    for entry in entries:
        entry.was, entry.word = statuses.get(entry.from_status, "–"), statuses[entry.to_status]
        entry.way = ways.get(entry.through, entry.through)
    return entries
