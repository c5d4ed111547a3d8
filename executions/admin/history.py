"""What happened to a run, for its page."""

from typing import Any

SHOWN = 200


def newest(run: Any, user: Any) -> list[Any]:
    """The last entries, the oldest of them first."""
    entries = run.history.visible_to(user).select_related("node_execution__node").only(
        "act", "from_status", "to_status", "attempt", "through", "username", "token_name", "reason", "request_id",
        "happened_at", "node_execution__node__name",
    )  # fmt: skip
    return list(entries.order_by("-happened_at", "-id")[:SHOWN])[::-1]
