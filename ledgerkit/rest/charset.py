"""The charset that a request's Content-Type names.

Django takes any codec that Python has for one, and reads the address by it before anybody can say no: it breaks on such
as hex or punycode, and on a header that it cannot read. Here addresses, forms and JSON are in UTF-8.
"""

import re
from typing import Any

from django.utils.http import parse_header_parameters

UTF8 = {"utf-8", "utf8", "us-ascii", "ascii"}
NAME = b"content-type"


def normalize_content_type(content_type: str) -> str:
    """The same where it says UTF-8 or nothing; another charset becomes one that no codec is called, and what cannot be
    read nothing at all. Both are refused with a sentence where there is a body to be read."""
    try:
        kind, parameters = parse_header_parameters(content_type)
    except ValueError:
        return ""
    charset = parameters.get("charset", "utf-8").lower()
    return content_type if charset in UTF8 else f"{kind}; charset=not-{re.sub('[^a-z0-9-]', '', charset)[:40]}"


def wsgi_charset_middleware(app: Any) -> Any:
    """A WSGI application that takes such requests, of one that breaks on them."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ | {"CONTENT_TYPE": normalize_content_type(environ.get("CONTENT_TYPE", ""))}, start_response)

    return call


class CharsetMiddleware:
    """The same for ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [(name, _plain(value) if name == NAME else value) for name, value in scope["headers"]]
            scope = scope | {"headers": headers}
        await self.app(scope, receive, send)


def _plain(value: bytes) -> bytes:
    return normalize_content_type(value.decode("latin-1")).encode("latin-1")
