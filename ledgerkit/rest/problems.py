"""Every error of the API in one shape: `application/problem+json` (RFC 9457).

`type`, `title`, `status`, `detail`, `code`; for bad input also `errors`, each with the `pointer` (RFC 6901) of its
place in the body, or `?name` for a parameter of the address; for a refused move also `current_state` and `version`.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext, gettext_noop
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from executions import exceptions as ours
from ledgerkit.rest.django_request import django_request
from ledgerkit.rest.prefix import is_api
from ledgerkit.rest.query_params import BadQuery

from . import log_redaction

# What the ledger refuses, and the database where no rule of ours spoke first. The first class that fits counts.
DOMAIN: list[tuple[type[Exception], int, str]] = [
    (ours.ConcurrentExecution, 409, "concurrent_execution"),
    (ours.StaleExecution, 409, "stale_execution"),
    (ours.SecretsUnknown, 409, "secrets_unknown"),
    (ours.InvalidTransition, 409, "invalid_transition"),
    (ours.StaleObject, 409, "stale_object"),
    (ours.HasHistory, 409, "has_history"),
    (ours.ImmutableLog, 409, "immutable_log"),
    (ours.CyclicGraph, 400, "cyclic_graph"),
    (IntegrityError, 409, "conflict"),
    (DataError, 400, "invalid"),
    (ObjectDoesNotExist, 404, "not_found"),
    (OperationalError, 503, "busy"),
    (RequestDataTooBig, 413, "too_large"),
    (SuspiciousOperation, 400, "invalid_request"),
]
BUSY = gettext_noop("The database is busy or took too long; try again in a moment.")
UNSPOKEN = {
    "conflict": "This conflicts with a row that exists or refers to one that is gone. Read the current rows again.",
    "not_found": "It was deleted meanwhile.",
    "too_large": f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes: send it in several calls.",
    "busy": BUSY,
    "invalid": "The database cannot store a value of this request. Check for numbers or dates that are out of range.",
}

NOWHERE = "There is nothing at this address. Addresses end with a slash, and ids are UUIDs in lower case."


def exception_handler_with_problems(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER. None, and so a 500, for what nobody expected."""
    if isinstance(error, DjangoValidationError):
        error = drf.ValidationError(get_error_detail(error))
    response = exception_handler(error, context)
    if response is None:
        response = _domain(error)
        if response is None:
            request = context["request"]
            scrubber = log_redaction.scrubber(request, context["kwargs"])
            django_request(request).scrubber = scrubber  # type: ignore[attr-defined]  # for the server's log
        return response
    detail = getattr(error, "detail", None) or drf.NotFound().detail
    if isinstance(error, drf.ValidationError):
        errors = list(flatten_errors(detail, "?" if isinstance(error, BadQuery) else getattr(error, "pointer", "")))
        body = problem(400, "invalid", "The request has errors; each is listed with its place.", errors=errors)
    else:
        body = problem(response.status_code, getattr(detail, "code", "error"), str(detail))
    return problem_response(body, headers=dict(response.items()))


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    return {
        "type": f"urn:pastetrader:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }


def problem_response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return Response(body, status=body["status"], headers=kept, content_type="application/problem+json")


def flatten_errors(detail: Any, pointer: str = "") -> Iterator[dict[str, str]]:
    """REST framework's nested error details, flattened."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from flatten_errors(
                value, pointer if key == api_settings.NON_FIELD_ERRORS_KEY else _within(pointer, key)
            )
    elif isinstance(detail, list) and not all(isinstance(item, str) for item in detail):
        for index, item in enumerate(detail):
            yield from flatten_errors(item, f"{pointer}/{index}")
    else:
        for item in detail if isinstance(detail, list) else [detail]:
            yield {"pointer": pointer, "code": getattr(item, "code", "invalid"), "detail": str(item)}


def _domain(error: Exception) -> Response | None:
    for kind, status, code in DOMAIN:
        if isinstance(error, kind):
            more = _state(error) if isinstance(error, ours.InvalidTransition) else {}
            headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
            return problem_response(problem(status, code, UNSPOKEN.get(code) or str(error), **more), headers)
    return None


def _state(error: ours.InvalidTransition) -> dict[str, Any]:
    return {"current_state": error.state, "version": error.version}


def _within(pointer: str, key: Any) -> str:
    if pointer == "?":
        return f"?{key}"
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400, which also speaks for the admin."""
    if not is_api(request.path):
        return defaults.bad_request(request, exception)
    return _json_response(problem(400, "invalid_request", str(exception) or "This request cannot be read."))


def not_found() -> HttpResponse:
    """Return the 404 for addresses that no URL pattern matches: with a newline in it, or beside `v1/`."""
    return _json_response(problem(404, "not_found", NOWHERE))


def forbidden(sentence: str) -> HttpResponse:
    """Return the 403 for requests that are refused before a view of the API runs."""
    return _json_response(problem(403, "permission_denied", sentence or "This is not allowed."))


def busy(request: HttpRequest) -> HttpResponse:
    """Return the 503 for requests that got no database connection in time, those of the admin included."""
    if is_api(request.path):
        response = _json_response(problem(503, "busy", UNSPOKEN["busy"]))
    else:
        response = HttpResponse(f"{gettext(BUSY)}\n", status=503, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = "5"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, which also speaks for the admin."""
    if not is_api(request.path):
        return defaults.server_error(request)
    return _json_response(
        problem(500, "error", "Something went wrong here that is not your fault. It has been logged.")
    )


def _json_response(body: dict[str, Any]) -> HttpResponse:
    return JsonResponse(body, status=body["status"], content_type="application/problem+json")
