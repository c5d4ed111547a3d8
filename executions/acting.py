"""The actor (workflows.actor) as an expression of the statement that moves a row."""

import json

from django.db.models import DateTimeField, Func, Value
from django.db.models.functions import Now

from workflows.actor import Actor, Through, acting, current, given_id, identify, reason

__all__ = ["Actor", "Through", "acting", "given_id", "identify", "note", "noted", "reason"]


def note(act: str, reason: str = "", request_id: str | None = None) -> str:
    """Return what the history keeps of the actor, as JSON. `reason` is masked, and so is `request_id`, which is the
    actor's unless it is given."""
    told = current().note() | {"act": act, "reason": reason}
    if request_id is not None:
        told["request_id"] = request_id
    return json.dumps(told)


def noted(act: str, reason: str = "", request_id: str | None = None) -> Func:
    """Return now, for `updated_at`: the statement that moves a row says by it what the history keeps."""
    return Func(Now(), Value(note(act, reason, request_id)), function="ledger_noted", output_field=DateTimeField())
