"""The body of a request as it was before it was packed: JSON, as it is or in gzip (RFC 9110, 8.4), up to a size."""

import zlib
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import exceptions
from rest_framework.request import Request

from ledgerkit.db.json_validation import LARGE

WITH_BODY = {"POST", "PUT", "PATCH"}
AS_IT_IS = {"", "identity"}
GZIP = {"gzip", "x-gzip"}
OF_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: with a header and a checksum as gzip writes them


class UnsupportedEncoding(exceptions.UnsupportedMediaType):
    default_code = "unsupported_content_encoding"


class BodyMixin:
    """For every view that writes. Whoever comes after it, Idempotency-Key included, sees the unpacked body: that of a
    repeated request is the same even where it was packed anew, which may give other bytes."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once it is known who asks: nobody else may have a body unpacked."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # of the view that this is mixed into
        if request.method in WITH_BODY and _length(request):
            _check_type(request)
            _unpack(request)
            if _length(request) > LARGE:  # parsed now: before a transaction begins
                request.data  # noqa: B018  # REST framework parses it when it is first asked for

    def handle_exception(self, exc: Exception) -> Any:
        """A 415 says what would be taken; Accept-Encoding only where that is the matter (RFC 7694, 3)."""
        response = super().handle_exception(exc)  # type: ignore[misc]
        if isinstance(exc, UnsupportedEncoding):
            response["Accept-Encoding"] = "gzip"
        elif isinstance(exc, exceptions.UnsupportedMediaType):
            response["Accept"] = "application/json"
        return response


def gunzip(packed: bytes, limit: int) -> bytes:
    """What gzip packed. One member (RFC 1952) is taken, as programs write it: many empty ones would cost time without
    end. No more than `limit` is ever unpacked. Raises ParseError for what is no gzip, is cut off or goes on after its
    end, RequestDataTooBig for more than `limit` bytes."""
    unpacker = zlib.decompressobj(OF_GZIP)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise exceptions.ParseError(
            f"The body is not what gzip packs, as its Content-Encoding says: {error}."
        ) from None
    if len(body) > limit:
        raise RequestDataTooBig
    if not unpacker.eof:
        raise exceptions.ParseError("The body, packed by gzip, is cut off: its end is missing.")
    if unpacker.unused_data:
        raise exceptions.ParseError("The body goes on after the end of what gzip packed: send one piece.")
    return body


def _unpack(request: Request) -> None:
    http: Any = request._request
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in AS_IT_IS:
        return
    if coding not in GZIP:
        raise UnsupportedEncoding(
            coding, "This Content-Encoding is not known here: send the body as it is, or in gzip."
        )
    http._body = gunzip(http.body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    http._stream = BytesIO(http._body)
    http.META["CONTENT_LENGTH"] = str(len(http._body))


def _check_type(request: Request) -> None:
    negotiator: Any = request.negotiator
    if negotiator.select_parser(request, request.parsers) is None:
        raise exceptions.UnsupportedMediaType(request.content_type, "Send JSON, as Content-Type: application/json.")


def _length(request: Request) -> int:
    """0 where it is no number, as Django and REST framework take it too."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
