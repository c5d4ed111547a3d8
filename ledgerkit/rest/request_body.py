"""Request bodies: JSON, plain or compressed (RFC 9110, 8.4), up to a size limit."""

from io import BytesIO
from typing import Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.request import Request

from ledgerkit.db.json_validation import LARGE
from ledgerkit.rest.decompression import ACCEPTED, UNPACK
from ledgerkit.rest.django_request import django_request

WITH_BODY = {"POST", "PUT", "PATCH"}
AS_IT_IS = {"", "identity"}


class UnsupportedEncoding(exceptions.UnsupportedMediaType):
    default_code = "unsupported_content_encoding"


def read_body(request: Request) -> None:
    """Decompress the body; parse a large one, before a transaction begins. Hashes for idempotency see the decompressed
    bytes, because compressing the same body again may give others."""
    negotiator: Any = request.negotiator
    if negotiator.select_parser(request, request.parsers) is None:
        raise exceptions.UnsupportedMediaType(request.content_type, "Send JSON, as Content-Type: application/json.")
    if "HTTP_CONTENT_ENCODING" in request.META:
        _unpack(request)
    if len(request.body) > LARGE:
        request.data  # noqa: B018  # REST framework parses it when it is first asked for


def accept_headers(error: Exception) -> dict[str, str]:
    """Return the headers of a 415 response: the accepted media types, or the encoding if that was the cause (RFC 7694,
    3)."""
    if isinstance(error, UnsupportedEncoding):
        return {"Accept-Encoding": ACCEPTED}
    return {"Accept": "application/json"} if isinstance(error, exceptions.UnsupportedMediaType) else {}


def _unpack(request: Request) -> None:
    coding = request.headers["Content-Encoding"].strip().lower()
    if coding in AS_IT_IS:
        return
    if coding not in UNPACK:
        detail = f"This Content-Encoding is not known here: send the body as it is, or in one of: {ACCEPTED}."
        raise UnsupportedEncoding(coding, detail)
    http: Any = django_request(request)
    body = UNPACK[coding](http.body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    http._body, http._stream = body, BytesIO(body)  # Django has no public way to replace a body
    http.META["CONTENT_LENGTH"] = str(len(body))
