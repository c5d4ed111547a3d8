"""The actor (ledgerkit.db.audit) of a change to runs, passed to the triggers that write the history.

The note with the actor is a setting of the transaction. It is sent in front of the SQL of a write, in the same round
trip: as a statement of its own at the beginning of the transaction it would cost each write another round trip.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from ledgerkit.db.audit import Actor, Through, act_as, current, set_actor

__all__ = ["Actor", "Through", "act_as", "audit_note", "current", "set_actor"]

type Execute = Callable[[str, Sequence[object] | None, bool, dict[str, object]], object]

NOTE = "SELECT ledger_noted(now(), %s)"


def _in_one_round_trip(
    execute: Execute, note: str, sql: str, params: Sequence[object], many: bool, context: dict[str, Any]
) -> object:
    """Execute the note and the statement in a pipeline, which is one transaction where there is none."""
    wrapper = context["connection"]
    with wrapper.wrap_database_errors, wrapper.connection.pipeline():
        wrapper.connection.execute(NOTE, (note,))
        return execute(sql, params, many, context)


@contextmanager
def audit_note(note: str, using: str | None = None) -> Iterator[None]:
    """Send the note before each statement inside the block, in the same round trip. It holds until the transaction
    ends."""

    def with_note(
        execute: Execute, sql: str, params: Sequence[object] | None, many: bool, context: dict[str, Any]
    ) -> object:
        if params is None:  # the statement of a savepoint
            return execute(sql, params, many, context)
        # With server-side binding a call may contain only one statement.
        if context["connection"].settings_dict["OPTIONS"].get("server_side_binding"):
            return _in_one_round_trip(execute, note, sql, params, many, context)
        done = execute(f"{NOTE}; {sql}", (note, *params), many, context)
        context["cursor"].nextset()
        return done

    with connections[using or DEFAULT_DB_ALIAS].execute_wrapper(with_note):
        yield
