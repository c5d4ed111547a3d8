"""Responses of an operation; each refusal is a Problem."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS

from executions.api.idempotent_create import CreateMixin
from executions.states import ExecutionStatus
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.preconditions import ContentETagMixin, PreconditionsMixin

type Schema = dict[str, Any]

PROBLEM_TYPE = "application/problem+json"

_TEXT = {"type": "string"}
# A client that parses events validates each of them; others receive the whole stream as text.
EVENTS: Schema = {"anyOf": [{"$ref": "#/components/schemas/StreamEvent"}, _TEXT]}
SCHEMAS: dict[str, Schema] = {
    "FieldProblem": {
        "type": "object",
        "description": "An error at one place of a request.",
        "required": ["pointer", "code", "detail"],
        "properties": {
            "pointer": _TEXT | {"description": "A JSON pointer into the body, or `?name` for a parameter."},
            "code": _TEXT,
            "detail": _TEXT,
        },
    },
    "StreamEvent": {
        "type": "object",
        "description": "One server-sent event of a stream.",
        "required": ["event", "data"],
        "properties": {
            "event": {
                "type": "string",
                "enum": ["logs", "node", "execution", "deleted", "end", "poll", "heartbeat"],
            },
            "id": _TEXT | {"description": "Send it back in `Last-Event-ID`; only `poll` has none."},
            "data": _TEXT | {"contentMediaType": "application/json"},
        },
    },
    "Problem": {
        "type": "object",
        "description": "An error in the format of RFC 9457.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": _TEXT | {"description": f"`{ledgerkit_settings.PROBLEM_TYPE_PREFIX}` and the code."},
            "title": _TEXT | {"description": "The name of the status."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT | {"description": "Cause and remedy, as text for a person."},
            "code": _TEXT | {"description": "Code of the error, for a program."},
            "errors": {
                "type": "array",
                "description": "The errors of an invalid request, each with its place.",
                "items": {"$ref": "#/components/schemas/FieldProblem"},
            },
            "current_state": {
                "type": "string",
                "description": "The current state, if a transition was refused.",
                "enum": ExecutionStatus.values,
            },
            "archive_file": _TEXT | {"description": "The file that contains the run, if it was archived."},
            "merged_into": _TEXT
            | {"format": "uuid", "description": "The group of errors that the one of the address was merged into."},
            "waits_for": _TEXT
            | {"format": "uuid", "description": "The run that a queued run waits for, if its start was refused."},
            "version": {
                "type": ["integer", "null"],
                "description": "The current version, if a transition was refused.",
            },
        },
    },
}

_SECONDS = {"description": "Seconds to wait before the next try.", "schema": {"type": "integer", "minimum": 0}}
_LATER = {"Retry-After": _SECONDS}
_CHALLENGE = {
    "WWW-Authenticate": {"description": "The accepted scheme of authentication.", "required": True, "schema": _TEXT}
}
_REPLAYED = {
    "description": "`true` if this is the repeated first response to the Idempotency-Key.",
    "schema": {"type": "string", "enum": ["true"]},
}
_ETAG = {"description": "The version of the row, for If-Match and If-None-Match.", "schema": _TEXT}
_ETAG_OF_ONE = {"description": "The ETag of the returned row, which never changes.", "schema": _TEXT}

# status → (name, what it means, headers).
REFUSALS: dict[str, tuple[str, str, Schema]] = {
    "400": ("BadRequest", "The request has errors; each one is listed with its place.", {}),
    "401": ("Unauthorized", "No token or session, or one that is unknown, expired or revoked.", _CHALLENGE),
    "403": ("Forbidden", "The token lacks the scope, or the user lacks the permission.", {}),
    "404": ("NotFound", "It does not exist, or the caller may not see it.", {}),
    "406": ("NotAcceptable", "The API returns JSON; its streams return text/event-stream.", {}),
    "409": ("Conflict", "The current state does not allow it; see `current_state` and `version`.", {}),
    "410": ("Archived", "The run was deleted; it is in the archive, in `archive_file`.", {}),
    "412": ("PreconditionFailed", "The row has changed since the version in If-Match.", {}),
    "413": ("TooLarge", "The body is larger than the server accepts.", {}),
    "415": ("UnsupportedMediaType", "The API accepts only JSON.", {}),
    "422": ("KeyReused", "The Idempotency-Key was sent with another request.", {}),
    "429": ("TooManyRequests", "More requests or open streams than this server allows.", _LATER),
    "500": ("ServerError", "An error in the server. It was logged.", {}),
    "503": ("Busy", "The database is busy; try again in a moment.", _LATER),
}  # fmt: skip


def refusals(view: object, method: str, path: str) -> dict[str, Schema]:
    """Return the status codes with which this operation may be refused."""
    always = {"400", "401", "403", "406", "429", "500", "503"}
    found = {"404"} if "{" in path else set()
    archived = {"410"} if "/executions/{" in path else set()
    writes = set() if method in SAFE_METHODS else {"409"}
    sized = {"413", "415"} if takes_body(view, method) else set()
    keyed = {"422"} if method == "POST" and isinstance(view, IdempotencyMixin) else set()
    guarded = {"412"} if writes and isinstance(view, PreconditionsMixin) else set()
    return {
        status: {"$ref": f"#/components/responses/{REFUSALS[status][0]}"}
        for status in sorted(always | found | archived | writes | sized | keyed | guarded)
    }


def who_may(view: Any, method: str) -> str:
    """Return a sentence with the scope that a token needs and the permission that a session's user needs."""
    if method in SAFE_METHODS:
        return f"A token needs the scope `{view.reads}`; a session reads what its user may see."
    scope, permission = view.grants[view.action]
    return f"A token needs the scope `{scope}`; a session's user needs the permission `{permission}`."


def takes_body(view: object, method: str) -> bool:
    """Return whether the operation has a body. A DELETE has one only if it requires a reason."""
    has_reason = "destroy" in getattr(view, "serializer_classes", {})
    return method in {"POST", "PUT", "PATCH"} or (method == "DELETE" and has_reason)


SUCCESSES = {
    "destroy": ["204"],
    "release": ["204"],
    "duplicate": ["201"],
    "split": ["201"],
    "write": ["201"],
    "remove": ["204"],
    "stream": ["200", "204"],
    "begin": ["200", "202"],
}


def statuses(view: Any, *, versioned: bool) -> list[str]:
    """Return the status codes of success."""
    match view.action:
        case "create" | "ensure" | "rerun":
            return ["200", "201"] if isinstance(view, CreateMixin) or view.action == "ensure" else ["201"]
        case "retrieve" | "graph" if versioned:
            return ["200", "304"]
        case action:
            return SUCCESSES.get(action, ["200"])


DESCRIPTIONS = {
    "200": "Done.",
    "201": "Created.",
    "202": "Begun; `Location` is the address of its state.",
    "204": "Deleted.",
    "304": "The row still has the ETag in If-None-Match.",
}


def describe_response(view: Any, method: str, status: str, *, versioned: bool) -> Schema:
    """Return a successful response without its content."""
    etag = _ETAG_OF_ONE if isinstance(view, ContentETagMixin) else _ETAG
    headers = {"ETag": etag} if versioned and status != "204" else {}
    if method == "POST" and isinstance(view, IdempotencyMixin):
        headers |= {"Idempotent-Replayed": _REPLAYED}
    existed = status == "200" and view.action in {"create", "rerun"}
    response = {"description": "The row existed." if existed else DESCRIPTIONS[status]}
    if status == "204" and method in SAFE_METHODS:
        response = {"description": "The end of the run was sent before."}
    return response | ({"headers": headers} if headers else {})


def responses(examples: Schema) -> dict[str, Schema]:
    """Return the refusals for `components`; `examples` holds recorded ones by status."""
    return {
        name: {
            "description": text,
            **({"headers": headers} if headers else {}),
            "content": {
                PROBLEM_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"value": value} for code, value in examples.get(status, {}).items()},
                }
            },
        }
        for status, (name, text, headers) in REFUSALS.items()
    }
