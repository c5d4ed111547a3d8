"""The bulk action of the recorded session (recording.py)."""

from collections.abc import Callable
from typing import Any


def record_bulk_action(say: Callable[..., Any]) -> None:
    body = {"action": "keep", "filter": {"tag": "daily", "status": ["completed", "failed"]}, "reason": "for the audit"}
    say("beginBulkAction", "dry run", "POST", "executions/actions/", body | {"dry_run": True})
    address = f"executions/actions/{say('beginBulkAction', 'keep', 'POST', 'executions/actions/', body).get('id')}/"
    say("getBulkAction", "open", "GET", address)
    say("listRunsOfBulkAction", "waiting", "GET", f"{address}runs/?state=waiting")
    say("stopBulkAction", "stopped", "POST", f"{address}stop/")
    say("listBulkActions", "stopped", "GET", "executions/actions/")
