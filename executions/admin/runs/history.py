"""History of a run for its page."""

from typing import Any

from executions.admin.types import User
from executions.audit import Through
from executions.models import HistoryEntry, WorkflowExecution
from executions.states import ExecutionStatus

SHOWN = 100


def newest_entries(run: WorkflowExecution, user: User) -> tuple[list[HistoryEntry], bool]:
    """The last entries, the oldest of them first, and whether there are more. The end of a run may settle hundreds of
    its nodes: those of the run itself are among them all the same, and are never more than its acts."""
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
    """The same, in words that are looked up once and not for each entry."""
    statuses = {status: str(word) for status, word in ExecutionStatus.choices}
    ways = {way: str(word) for way, word in Through.choices}
    for entry in entries:
        entry.was, entry.word = statuses.get(entry.from_status, "–"), statuses[entry.to_status]
        entry.way = ways.get(entry.through, entry.through)
    return entries
