"""The responses of the API to the exceptions of the ledger (executions/exceptions.py)."""

from rest_framework.request import Request

from executions.exceptions import (
    ConcurrentExecution,
    FencedExecution,
    ImmutableLog,
    InvalidTransition,
    QueuedExecution,
    SecretsUnknown,
    StaleExecution,
)
from executions.run_notes import NoteGone
from ledgerkit.rest.django_request import django_request
from ledgerkit.rest.problems import Rule, register, register_unexpected

from . import server_log_redaction
from .archived_run_response import RunArchived
from .merged_group_response import GroupMerged


def _state(error: InvalidTransition) -> dict[str, object]:
    return {"current_state": error.state, "version": error.version}


def _queue(error: QueuedExecution) -> dict[str, object]:
    return _state(error) | {"waits_for": str(error.waits_for)}


def _redact_log(request: Request, kwargs: dict[str, object]) -> None:
    """Attach a scrubber to the request, because the text of an unexpected exception may repeat secrets of the
    request."""
    django_request(request).scrubber = server_log_redaction.scrubber(request, kwargs)  # type: ignore[attr-defined]  # an attribute of ours


register(
    Rule(QueuedExecution, 409, "queued", members=_queue),
    Rule(ConcurrentExecution, 409, "concurrent_execution", members=_state),
    Rule(FencedExecution, 409, "fenced", members=_state),
    Rule(StaleExecution, 409, "stale_execution", members=_state),
    Rule(SecretsUnknown, 409, "secrets_unknown", members=_state),
    Rule(InvalidTransition, 409, "invalid_transition", members=_state),
    Rule(ImmutableLog, 409, "immutable_log"),
    Rule(NoteGone, 404, "not_found"),
    Rule(GroupMerged, 404, "not_found", members=lambda error: {"merged_into": str(error.into)}),
    Rule(RunArchived, 410, "archived", members=lambda error: {"archive_file": error.file}),
)
register_unexpected(_redact_log)
