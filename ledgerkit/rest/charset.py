"""Normalisation of the charset of a request's Content-Type.

Django accepts every Python codec as charset and decodes the URL with it before any view runs: it raises an error for
codecs such as hex or punycode and for a malformed header. URLs, forms and JSON are UTF-8 here.
"""

import re
from typing import Any

from django.utils.http import parse_header_parameters

UTF8 = {"utf-8", "utf8", "us-ascii", "ascii"}
CONTENT_TYPE = b"content-type"


def normalize_content_type(content_type: str) -> str:
    """Return the header unchanged if its charset is UTF-8 or missing. Another charset is replaced by an unknown one and
    a malformed header by an empty one; both are rejected with a message if the request has a body."""
    try:
        kind, parameters = parse_header_parameters(content_type)
    except ValueError:
        return ""
    charset = parameters.get("charset", "utf-8").lower()
    return content_type if charset in UTF8 else f"{kind}; charset=not-{re.sub('[^a-z0-9-]', '', charset)[:40]}"


def wsgi_charset_middleware(app: Any) -> object:
    """Wrap a WSGI application so that it receives normalised Content-Type headers."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ | {"CONTENT_TYPE": normalize_content_type(environ.get("CONTENT_TYPE", ""))}, start_response)

    return call


def with_normalized_content_type(scope: Any) -> Any:
    """Return an ASGI scope with a normalised Content-Type header."""
    headers = [
        (name, normalize_content_type(value.decode("latin-1")).encode("latin-1") if name == CONTENT_TYPE else value)
        for name, value in scope["headers"]
    ]
    return scope | {"headers": headers}
