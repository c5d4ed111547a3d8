"""Redaction of the server's log for a failed request: the text of an exception may repeat any input."""

from typing import Any

from django.db import Error, connection
from rest_framework.request import Request

from executions.models import NodeExecution
from executions.secrets import masked_request_body, run_secrets
from executions.secrets.scrubber import Scrubber
from executions.secrets.values_by_key import find_secret_values
from ledgerkit.conf import ledgerkit_settings

KEY = "Idempotency-Key"


def scrubber(request: Request, kwargs: dict[str, object]) -> Scrubber:
    """Return a scrubber for the values under keys that name a secret in the headers, the cookies and the parsed body,
    and for the secrets of the run in the path."""
    extra = ledgerkit_settings.SECRET_KEYS_EXTRA
    sent = {"headers": dict(request.headers), "cookie": dict(request.COOKIES), "secret": request.headers.get(KEY)}
    body = getattr(request, "_full_data", None)  # `data` would parse the body now, which may be what failed
    masked = masked_request_body.current()
    found = find_secret_values([sent, body], extra) | (masked.found if masked else frozenset())
    return Scrubber(found | _secrets_of_run(kwargs), extra)


def _secrets_of_run(kwargs: dict[str, Any]) -> frozenset[str]:
    """Return the secrets of the run in the path; none if the database does not answer, because the texts that it
    returned before were masked."""
    id = kwargs.get("execution_id") or kwargs.get("node_execution_id") or kwargs.get("pk")
    if connection.needs_rollback or id is None:
        return frozenset()
    try:
        run = NodeExecution.objects.filter(pk=id).values_list("workflow_execution", flat=True).first()
        return run_secrets.scrubber(run or id).values
    except Error:
        return frozenset()
