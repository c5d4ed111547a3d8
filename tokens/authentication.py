"""Authentication of the API by token: `Authorization: Token ptl_...`, or `Bearer` in its place."""

import hashlib
import time
from typing import Any

from django.core.cache import caches
from rest_framework import authentication, exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.row_lookup import RowByKey
from ledgerkit.rest.django_request import django_request
from tokens.conf import tokens_settings

from . import failed_attempts
from .models import Token

VALID_SECONDS = 3_600  # seconds for which a valid token is accepted although its address is throttled
NOTED_EVERY = 60  # seconds: a write for each request would make the processes of a server wait for each other
MAX_TOKENS = 10_000  # tokens that a process remembers

_last_valid: dict[str, float] = {}  # when a token was valid, so that the cache, which is a file, is asked once a minute


class TooManyWrongTokens(exceptions.Throttled):
    def __init__(self, wait: int) -> None:
        super().__init__(wait, "Too many wrong tokens came from your address: check the token.")


class TokenAuthentication(authentication.TokenAuthentication):
    """REST framework's token authentication with hashed tokens. `request.auth` is the Token. One statement reads it and
    the `named_row` of the view, which nobody sees before the token is known."""

    beside: RowByKey[Any] | None = None

    def authenticate(self, request: Request) -> tuple[object, object] | None:
        """Authenticate the request. Raises Throttled after too many wrong tokens from the address, unless this token
        was valid recently: an engine is not throttled for another one at its address."""
        header = authentication.get_authorization_header(request)
        if header.partition(b" ")[0].lower() != self.keyword.lower().encode():
            return None
        if not (ledgerkit_settings.REPLICA and request.method in SAFE_METHODS):  # the token is read from the primary
            self.beside = getattr(request.parser_context.get("view"), "named_row", None)
        key = f"right:{hashlib.sha256(header).hexdigest()}"
        limits = tokens_settings.TOKEN_FAILURES
        was_valid = _last_valid.get(key, 0.0) if limits else 0.0  # when that was noted
        if is_due := limits and time.time() - was_valid > NOTED_EVERY:
            was_valid = caches[tokens_settings.CACHE].get(key, 0.0)
        if not was_valid and (wait := failed_attempts.token_attempt(django_request(request)).wait()):
            raise TooManyWrongTokens(wait)
        try:
            found = super().authenticate(request)
        except exceptions.AuthenticationFailed:
            tried = failed_attempts.token_attempt(django_request(request))
            if not tried.count() and not was_valid:  # others at the same moment were the last
                raise TooManyWrongTokens(max(1, tried.wait())) from None
            tried.log_failure()
            raise
        if is_due:
            _note(key, was_valid)
        return found

    def authenticate_credentials(self, key: str) -> tuple[object, object]:
        token = Token.objects.authenticate(key, self.beside)
        if token is None:
            raise exceptions.AuthenticationFailed(
                "This token is unknown, expired or revoked. Ask an administrator for a new one."
            )
        return token.user, token


def _note(key: str, was_valid: float) -> None:
    """Note for all processes that a token is valid, unless one of them has within a minute, and for this one."""
    if time.time() - was_valid > NOTED_EVERY:
        was_valid = time.time()
        caches[tokens_settings.CACHE].set(key, was_valid, VALID_SECONDS)
    if len(_last_valid) >= MAX_TOKENS:
        _last_valid.clear()
    _last_valid[key] = was_valid


class BearerAuthentication(TokenAuthentication):
    """Authenticate with the Bearer scheme of RFC 6750, which generated clients use: `Authorization: Bearer ptl_...`."""

    keyword = "Bearer"
