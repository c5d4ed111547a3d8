"""Errors of the API in one format: `application/problem+json` (RFC 9457).

`type`, `title`, `status`, `detail`, `code`; for invalid input also `errors`, each with the `pointer` (RFC 6901) of its
place in the body, or `?name` for a query parameter. An app registers a `Rule` for each of its exceptions.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from rest_framework import views
from rest_framework.fields import get_error_detail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.rate_limited_logging import RateLimitedLogger

from .api_prefix import is_api
from .query_params import BadQuery

BUSY = gettext_noop("The database is busy or took too long; try again in a moment.")
UNKNOWN_ADDRESS = "There is nothing at this address. Addresses end with a slash, and ids are UUIDs in lower case."


@dataclass(frozen=True)
class Rule:
    """The response to an exception. `detail` takes the place of its text, `members` adds members to the problem."""

    error: type[Exception]
    status: int
    code: str
    detail: str = ""
    members: Callable[[Any], dict[str, object]] = lambda _error: {}


logger = logging.getLogger(__name__)

type Receiver = Callable[[Request, dict[str, object]], None]

_rules: dict[type[Exception], Rule] = {}
_unserved: dict[type[BaseException], RateLimitedLogger] = {}  # by the cause
_receivers: list[Receiver] = []


def register(*rules: Rule) -> None:
    """Add rules. Of the classes of an exception, the first of its method resolution order that has a rule counts."""
    _rules.update({rule.error: rule for rule in rules})


def register_unexpected(receiver: Receiver) -> None:
    """Call `receiver` with the request and the view's arguments before an exception without a rule becomes a 500."""
    _receivers.append(receiver)


register(
    Rule(
        IntegrityError,
        409,
        "conflict",
        "This conflicts with a row that exists or refers to one that is gone. Read the current rows again.",
    ),
    Rule(
        DataError,
        400,
        "invalid",
        "The database cannot store a value of this request. Check for numbers or dates that are out of range.",
    ),
    Rule(ObjectDoesNotExist, 404, "not_found", "It was deleted meanwhile."),
    Rule(OperationalError, 503, "busy", BUSY),
    Rule(
        RequestDataTooBig,
        413,
        "too_large",
        f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes: send it in several calls.",
    ),
    Rule(SuspiciousOperation, 400, "invalid_request"),
)


def rule_for(kind: type[Exception]) -> Rule | None:
    return next((_rules[base] for base in kind.__mro__ if base in _rules), None)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's EXCEPTION_HANDLER. Return None, and so a 500, for an exception without a rule."""
    if isinstance(error, DjangoValidationError):
        error = drf.ValidationError(get_error_detail(error))
    response = views.exception_handler(error, context)
    if response is not None:
        return problem_response(_describe(error, response.status_code), headers=dict(response.items()))
    if (rule := rule_for(type(error))) is not None:
        return _apply(rule, error)
    for receiver in _receivers:
        receiver(context["request"], context["kwargs"])
    return None


def _describe(error: Exception, status: int) -> dict[str, object]:
    """Return the problem of an exception that REST framework knows: its own, Http404 or PermissionDenied."""
    detail = getattr(error, "detail", None) or drf.NotFound().detail
    if isinstance(error, drf.ValidationError):
        errors = list(flatten_errors(detail, "?" if isinstance(error, BadQuery) else getattr(error, "pointer", "")))
        return problem(400, "invalid", "The request has errors; each is listed with its place.", errors=errors)
    return problem(status, getattr(detail, "code", "error"), str(detail))


def _apply(rule: Rule, error: Exception) -> Response:
    headers = {}
    if rule.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log_unserved(error)
        headers = {"Retry-After": "5"}
    body = problem(rule.status, rule.code, rule.detail or str(error), **rule.members(error))
    return problem_response(body, headers)


def log_unserved(error: Exception) -> None:
    """Log why a request was not served: the response says no more than "busy". Once a minute for each cause."""
    cause = error.__cause__ or error
    if type(cause) not in _unserved:
        _unserved[type(cause)] = RateLimitedLogger(logger, "The database did not serve a request: %s: %s")
    _unserved[type(cause)](type(cause).__name__, str(cause).partition("\n")[0])


def problem(status: int, code: str, detail: str, **more: object) -> dict[str, object]:
    return {
        "type": f"{ledgerkit_settings.PROBLEM_TYPE_PREFIX}{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }


def problem_response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return Response(body, status=body["status"], headers=kept, content_type="application/problem+json")


def flatten_errors(detail: object, pointer: str = "") -> Iterator[dict[str, str]]:
    """Flatten REST framework's nested error details."""
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


def _within(pointer: str, key: object) -> str:
    if pointer == "?":
        return f"?{key}"
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400, also for the admin."""
    if not is_api(request.path_info):
        return defaults.bad_request(request, exception)
    return _json_response(problem(400, "invalid_request", str(exception) or "This request cannot be read."))


def not_found() -> HttpResponse:
    """Return the 404 for addresses that no URL pattern matches: with a newline in it, or beside `v1/`."""
    return _json_response(problem(404, "not_found", UNKNOWN_ADDRESS))


def forbidden(sentence: str) -> HttpResponse:
    """Return the 403 for requests that are refused before a view of the API runs."""
    return _json_response(problem(403, "permission_denied", sentence or "This is not allowed."))


def busy(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the 503 for requests that got no database connection in time, those of the admin included."""
    log_unserved(error)
    if is_api(request.path_info):
        response = _json_response(problem(503, "busy", BUSY))
    else:
        response = HttpResponse(f"{gettext(BUSY)}\n", status=503, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = "5"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, also for the admin."""
    if not is_api(request.path_info):
        return defaults.server_error(request)
    return _json_response(
        problem(500, "error", "Something went wrong here that is not your fault. It has been logged.")
    )


def _json_response(body: dict[str, object]) -> HttpResponse:
    headers = {"Cache-Control": "private, no-store"}
    return JsonResponse(body, status=body["status"], headers=headers, content_type="application/problem+json")
