"""History of a run for its page."""

from dataclasses import dataclass

from executions import limits
from executions.admin import statuses
from executions.admin.types import User
from executions.audit import Through
from executions.models import HistoryEntry, WorkflowExecution


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """An entry, with the labels of its statuses and interface. `was` is "–" if there was no status before."""

    entry: HistoryEntry
    was: str
    now: str
    interface: str


def newest_entries(run: WorkflowExecution, user: User) -> tuple[list[HistoryRow], bool]:
    """Return the last entries, oldest first, and whether there are more. Entries of the run itself are always included,
    because the end of a run may settle hundreds of nodes."""
    entries = run.history.visible_to(user).select_related("node_execution").only(
        "act", "from_status", "to_status", "attempt", "through", "username", "token_name", "reason", "request_id",
        "happened_at", "node_execution__node_name",
    )  # fmt: skip
    entries = entries.order_by("-happened_at", "-id")
    last = list(entries[: limits.HISTORY_ENTRIES + 1])
    more = len(last) > limits.HISTORY_ENTRIES
    of_run = entries.filter(node_execution=None)[: limits.HISTORY_ENTRIES] if more else ()
    found = {entry.pk: entry for entry in (*last[: limits.HISTORY_ENTRIES], *of_run)}
    return _present(sorted(found.values(), key=lambda entry: (entry.happened_at, entry.pk))), more


def _present(entries: list[HistoryEntry]) -> list[HistoryRow]:
    """Translate each word once instead of once an entry."""
    words = statuses.labels()
    interfaces = {value: str(label) for value, label in Through.choices}
    return [
        HistoryRow(
            entry,
            words.get(entry.from_status or "", "–"),
            words[entry.to_status],
            interfaces.get(entry.through, entry.through),
        )
        for entry in entries
    ]
