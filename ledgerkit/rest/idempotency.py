"""`Idempotency-Key` for every POST: a repeated request gets the stored response.

The first response is stored for 24 hours, in the transaction of the work: a crash loses both or neither, so repeating
the request does the work once. A key belongs to its caller.

A 412 is not stored, because nothing was done: the request may be repeated under its key with another If-Match, which is
not part of the request's hash.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.http import parse_header_parameters
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from ledgerkit.db.locks import try_lock
from ledgerkit.models import IdempotencyKey

from .callers import caller_id
from .charset import UTF8

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
REPEATED_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After")


class KeyInUse(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "A request with this Idempotency-Key is still running: wait for its answer, then send it again."
    default_code = "idempotency_key_in_use"


class KeyReused(exceptions.APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key was sent with another request: choose a new key for a new request."
    default_code = "idempotency_key_reused"


class ReplayedError(Exception):  # not an error: leaves the view once the response is known
    def __init__(self, first: IdempotencyKey) -> None:
        self.first = first


class IdempotencyMixin:
    """Mixin of a LedgerView that replays the stored response to a repeated POST."""

    work: ExitStack
    response: Response

    def begin_transaction(self, request: Request) -> None:
        """Begin the transaction after authentication and parsing. Earlier, the record of the token's use would stay
        uncommitted until its end, and a connection would be held while a large body is parsed and masked."""
        has_key = request.method == "POST" and HEADER in request.headers
        if has_key or "If-Match" in request.headers:
            self.work.enter_context(transaction.atomic())
        if has_key:
            self.work.enter_context(self._keeping(self._take_key(request)))

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, ReplayedError):
            return ReplayedResponse(exc.first)
        return super().handle_exception(exc)  # type: ignore[misc]  # of the view that this is mixed into

    def _take_key(self, request: Request) -> IdempotencyKey:
        """Store the key, or raise ReplayedError if its response is known. Raises KeyReused, KeyInUse."""
        key = IdempotencyKey(
            caller=caller_id(request), key=_digest(_key(request).encode()), request_hash=_hash(request)
        )
        if not try_lock(f"{key.caller} {key.key}"):
            raise KeyInUse
        mine = IdempotencyKey.objects.filter(caller=key.caller, key=key.key)
        mine.expired().delete()
        if first := mine.first():
            raise ReplayedError(first) if first.request_hash == key.request_hash else KeyReused
        return key

    @contextmanager
    def _keeping(self, key: IdempotencyKey) -> Iterator[None]:
        """Store the response under the key at the end of the block."""
        yield
        if _is_kept(self.response.status_code):
            response = self.response.render()
            key.status, key.body = response.status_code, response.content.decode()
            key.headers = {name: response[name] for name in REPEATED_HEADERS if name in response}
            key.save(force_insert=True)


class ReplayedResponse(HttpResponse):
    def __init__(self, first: IdempotencyKey) -> None:
        super().__init__(first.body, status=first.status, headers=first.headers | {"Idempotent-Replayed": "true"})


def _is_kept(code: int) -> bool:
    return code < status.HTTP_500_INTERNAL_SERVER_ERROR and code != status.HTTP_412_PRECONDITION_FAILED


def _key(request: Request) -> str:
    key: str = request.headers[HEADER]
    if not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise exceptions.ParseError(f"{HEADER}: expected 1 to {MAX_LENGTH} printable ASCII characters.")
    return key


def _hash(request: Request) -> str:
    """Return the hash of method, path, content type and decompressed body: a request compressed in another way is the
    same request."""
    request_line = f"{request.method} {request.get_full_path()} {_content_type(request)}\n".encode()
    return _digest(request_line + request.body)


def _content_type(request: Request) -> str:
    """Return the normalised content type; for JSON without the charset, which is always UTF-8."""
    kind, parameters = parse_header_parameters(request.content_type)
    charset = parameters.get("charset", "utf-8").lower()
    return kind.lower() if charset in UTF8 else f"{kind.lower()}; charset={charset}"


def _digest(content: bytes) -> str:
    """Return a keyed digest: bodies, and keys made by clients from their data, may contain secrets."""
    return salted_hmac("idempotency", content, algorithm="sha256").hexdigest()
