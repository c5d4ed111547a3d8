"""The actor (ledgerkit.db.audit) of what is done to runs, for the triggers that write their history."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from ledgerkit.db.audit import Actor, Through, act_as, current, set_actor

__all__ = ["Actor", "Through", "act_as", "audit_note", "current", "note", "set_actor"]

NOTE = "SELECT ledger_noted(now(), %s)"


def note(act: str, reason: str = "", request_id: str | None = None) -> str:
    """Return what the history keeps of the actor, as JSON. `reason` is masked, and so is `request_id`, which is the
    actor's unless it is given."""
    note = current().note() | {"act": act, "reason": reason}
    if request_id is not None:
        note["request_id"] = request_id
    return json.dumps(note)


@contextmanager
def audit_note(note: str, using: str | None = None) -> Iterator[None]:
    """Send the note with each statement within, in the same round trip: it counts until the transaction ends."""

    def with_note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> object:
        if params is None:  # of a savepoint
            return execute(sql, params, many, context)
        if context["connection"].settings_dict["OPTIONS"].get("server_side_binding"):  # takes one statement at a time
            execute(NOTE, (note,), False, context)
            return execute(sql, params, many, context)
        done = execute(f"{NOTE}; {sql}", (note, *params), many, context)
        context["cursor"].nextset()
        return done

    with connections[using or DEFAULT_DB_ALIAS].execute_wrapper(with_note):
        yield
