"""`Authorization: Token ptl_...`, for Django REST framework."""

from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from .models import Token, digest


class TokenAuthentication(authentication.TokenAuthentication):
    """REST framework's header and words, our hashed tokens. `request.auth` is the Token, whose scopes the permissions read."""

    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        token = Token.objects.usable().select_related("user").filter(digest=digest(key)).first()
        if token is None:
            raise exceptions.AuthenticationFailed("This token is unknown, expired or revoked. Ask an administrator for a new one.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Token"
