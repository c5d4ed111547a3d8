"""Record facts of code in this process, such as an importer. It is trusted, as with the methods of the models: it may
report facts of every run."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from executions import audit
from ledgerkit.db.locks import lock
from ledgerkit.db.names import nfc
from workflows.api.serializers import EnsureSerializer
from workflows.models import Workflow

from . import batch_recording
from .body_decoding import decode_array
from .call_outcome import Outcome
from .caller import Caller
from .refusals import Refusal

MAX_DETAIL = 500  # characters of the errors of a definition


def record(facts: Iterable[Mapping[str, Any]], *, user: object = None, actor: object = None) -> Outcome:
    """Store facts as `POST events/` takes them, at most body_decoding.MAX_FACTS. `user` or None owns the workflows that
    are created; the history names `actor`, by default `user`. Raises NotFacts."""
    return record_body(json.dumps(list(facts), default=str).encode(), user=user, actor=actor)


def record_body(body: bytes, *, user: Any = None, actor: Any = None) -> Outcome:
    """Store the facts of a JSON array, as record() does. Raises NotFacts."""
    with audit.act_as(user=actor or user):
        decoded = decode_array(body, imports=True)
        done = 0
        for indexes, definition in decoded.workflows:
            if fault := ensure_workflow(definition, user):
                decoded.refusals.extend(Refusal(index, "invalid", fault) for index in indexes)
            else:
                done += len(indexes)
        outcome = batch_recording.report(decoded.facts, decoded.refusals, trusted_caller(user))
    outcome.known += done
    return outcome


def trusted_caller(user: Any) -> Caller:
    """Return a caller who may report facts of every run."""
    return Caller(
        user=user and user.pk, may=lambda _kind, _owner: None, release=lambda: None, sees_all_runs=True,
        sees_all_workflows=True,
    )  # fmt: skip


@transaction.atomic
def ensure_workflow(body: Mapping[str, Any], user: Any) -> str:
    """Find, create or update the workflow as POST workflows/ensure/ does. Return its errors as text, "" if there are
    none. An unchanged workflow is not locked, as the lock would last until the caller's transaction ends."""
    name = str(body.get("name"))
    if (there := _find_by_name(name, user).first()) is not None and _is_unchanged(there, body):
        return ""
    found = lock_workflow_name(name, user, with_row=body.get("only_add") is True)
    serializer = EnsureSerializer(found, data=dict(body))
    if not serializer.is_valid():
        return json.dumps(serializer.errors, default=str)[:MAX_DETAIL]
    serializer.save(**({} if found else {"owner": user}))
    return ""


def _is_unchanged(workflow: Workflow, body: Mapping[str, Any]) -> bool:
    serializer = EnsureSerializer(workflow, data=dict(body))
    return serializer.is_valid() and serializer.is_unchanged(workflow)


def lock_workflow_name(name: str, user: Any, *, with_row: bool = False) -> Workflow | None:
    """Return the user's first workflow with this name. Until the transaction ends, nobody can create one; `with_row`,
    nobody can change this one either."""
    lock(f"workflow {user and user.pk} {nfc(name)}")
    found = _find_by_name(name, user)
    return (found.select_for_update(no_key=True) if with_row else found).first()


def _find_by_name(name: str, user: Any) -> QuerySet[Workflow]:
    return Workflow.objects.alive().filter(owner=user, name=nfc(name)).order_by("id")
