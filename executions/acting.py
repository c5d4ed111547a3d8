"""The actor (workflows.actor) as an expression of the statement that moves a row."""

import json

from django.db.models import DateTimeField, Func, Value
from django.db.models.functions import Now

from workflows.actor import Actor, Through, acting, current, given_id, identify, reason

__all__ = ["Actor", "Through", "acting", "given_id", "identify", "noted", "reason"]


def noted(act: str, reason: str = "", request_id: str | None = None) -> Func:
    """Return now, for `updated_at`: the statement that moves a row says by it what the history keeps. `reason` is
    masked, and so is `request_id`, which is the actor's unless it is given."""
    note = current().note() | {"act": act, "reason": reason}
    if request_id is not None:
        note["request_id"] = request_id
    return Func(Now(), Value(json.dumps(note)), function="ledger_noted", output_field=DateTimeField())
