"""Decompression of request bodies, within a limit: gzip, and zstd where its library is there (RFC 9110, 8.4)."""

import sys
import zlib
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError

zstd: Any = None
try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd  # what Python 3.14 has in its standard library
except ImportError:
    pass

OF_GZIP = 16 + zlib.MAX_WBITS  # zlib: expect a gzip header and checksum
WINDOW = 23  # binary logarithm of the most bytes that a zstd frame may refer back to: those of RFC 9659


def gunzip(packed: bytes, limit: int) -> bytes:
    """Decompress one gzip member (RFC 1952), at most `limit` bytes. Only one is accepted: many empty members would take
    unbounded time. Raises ParseError for invalid, truncated or trailing data, RequestDataTooBig above `limit`."""
    return _unpack(zlib.decompressobj(OF_GZIP), packed, limit, "gzip", zlib.error)


def unzstd(packed: bytes, limit: int) -> bytes:
    """Decompress one zstd frame (RFC 8878), as gunzip() does."""
    options = {zstd.DecompressionParameter.window_log_max: WINDOW}
    return _unpack(zstd.ZstdDecompressor(options=options), packed, limit, "zstd", zstd.ZstdError)


def _unpack(unpacker: Any, packed: bytes, limit: int, name: str, fault: type[Exception]) -> bytes:
    try:
        body: bytes = unpacker.decompress(packed, limit + 1)
    except fault as error:
        raise ParseError(f"The body is not valid {name}, although Content-Encoding is {name}: {error}.") from None
    if len(body) > limit:
        raise RequestDataTooBig
    if not unpacker.eof:
        raise ParseError(f"The {name} body is cut off: its end is missing.")
    if unpacker.unused_data:
        raise ParseError(f"The body goes on after the end of the {name} data: send one member or frame.")
    return body


UNPACK: dict[str, Callable[[bytes, int], bytes]] = {"gzip": gunzip, "x-gzip": gunzip}
if zstd is not None:
    UNPACK["zstd"] = unzstd
ACCEPTED = ", ".join(name for name in UNPACK if not name.startswith("x-"))
