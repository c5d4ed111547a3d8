"""Gzip compression that is done once for many readers: members that can follow any other member.

A member refers to nothing before it and ends at a whole byte (Z_FULL_FLUSH), so that readers who began at different
places receive the same bytes. Only the checksum at the end of a stream differs by reader; it is combined from those of
the members, as summing up a megabyte of text a second for each reader would be too expensive.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # gzip, deflated; no name, no time, from no system in particular
EMPTY = b"\x03\0"  # the last block
LEVEL = 1  # twice the work of more would save a tenth of the bytes
ONE, X, POLYNOMIAL = 1 << 31, 1 << 30, 0xEDB88320  # of CRC-32, the lowest power in the highest bit


@dataclass(frozen=True)
class GzipMember:
    """`packed` is of a text with the checksum `crc`; `shift` is x to its length in bits."""

    packed: bytes
    crc: int
    shift: int
    length: int


def pack(text: bytes) -> GzipMember:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
    return GzipMember(packed, zlib.crc32(text), _power(8 * len(text)), len(text))


class PlainBody:
    """The way of one reader's stream who takes no gzip."""

    encoding: ClassVar[str | None] = None
    begin = end = b""

    @staticmethod
    def make(text: bytes) -> Any:
        """Return the member that `sent` takes; it is the same for all readers."""
        return text

    def sent(self, piece: Any) -> bytes:
        sent: bytes = piece
        return sent


class GzipBody:
    """The way of one reader's stream who takes gzip."""

    encoding: ClassVar[str | None] = "gzip"
    begin = HEAD
    make = staticmethod(pack)

    def __init__(self) -> None:
        self.crc = self.length = 0

    def sent(self, piece: GzipMember) -> bytes:
        self.crc = _product(piece.shift, self.crc) ^ piece.crc
        self.length += piece.length
        return piece.packed

    @property
    def end(self) -> bytes:
        return EMPTY + struct.pack("<LL", self.crc, self.length % 2**32)


type Way = PlainBody | GzipBody


def encoding_for(accepted: str) -> type[Way]:
    """Return the body class for the Accept-Encoding of a request."""
    wishes = [wish.replace(" ", "").lower().partition(";q=") for wish in accepted.split(",")]
    quality = next((quality or "1" for name, _mark, quality in wishes if name == "gzip"), "0")
    return GzipBody if quality.strip("0.") else PlainBody


def _power(exponent: int) -> int:
    """x to it, modulo the polynomial."""
    power, square = ONE, X
    while exponent:
        if exponent & 1:
            power = _product(power, square)
        square, exponent = _product(square, square), exponent >> 1
    return power


def _product(one: int, other: int) -> int:
    """Multiply two polynomials modulo that of CRC-32."""
    product = 0
    while one:
        if one & ONE:
            product ^= other
        one, other = one << 1 & 0xFFFFFFFF, other >> 1 ^ (POLYNOMIAL if other & 1 else 0)
    return product
