"""What happened to a run, for its page."""

from typing import Any

from executions.acting import Through
from executions.states import ExecutionStatus

SHOWN = 100


def newest(run: Any, user: Any) -> list[Any]:
    """The last entries, the oldest of them first."""
    entries = run.history.visible_to(user).select_related("node_execution__node").only(
        "act", "from_status", "to_status", "attempt", "through", "username", "token_name", "reason", "request_id",
        "happened_at", "node_execution__node__name",
    )  # fmt: skip
    return _with_words(list(entries.order_by("-happened_at", "-id")[:SHOWN])[::-1])


def _with_words(entries: list[Any]) -> list[Any]:
    """The same, in words that are looked up once and not for each entry."""
    statuses = {status: str(word) for status, word in ExecutionStatus.choices}
    ways = {way: str(word) for way, word in Through.choices}
    for entry in entries:
        entry.was, entry.word = statuses.get(entry.from_status, "–"), statuses[entry.to_status]
        entry.way = ways.get(entry.through, entry.through)
    return entries
