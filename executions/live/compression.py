"""Gzip compression shared by many readers: members that can follow any other member.

A member refers to nothing before it and ends at a byte boundary (Z_FULL_FLUSH), so readers that began at different
places receive the same bytes. Only the checksum at the end of a stream differs by reader. It is combined from those of
the members: computing the CRC of a megabyte per second for each reader would be too expensive.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import ClassVar, cast

HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # gzip, deflate; no file name, no time, unknown system
EMPTY = b"\x03\0"  # an empty last block
LEVEL = 1  # a higher level takes twice the time for a tenth fewer bytes
ONE, X, POLYNOMIAL = 1 << 31, 1 << 30, 0xEDB88320  # polynomials of CRC-32; the highest bit is the lowest power


@dataclass(frozen=True)
class GzipMember:
    """A compressed text, with its checksum `crc` and its length. `shift` is x to the power of its length in bits."""

    packed: bytes
    crc: int
    shift: int
    length: int


def pack(text: bytes) -> GzipMember:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
    return GzipMember(packed, zlib.crc32(text), _power(8 * len(text)), len(text))


class PlainBody:
    """Body of one reader's stream without compression."""

    encoding: ClassVar[str | None] = None
    begin = end = b""

    @staticmethod
    def make(text: bytes) -> object:
        """Return the piece for encode_next(). It is the same for all readers."""
        return text

    def encode_next(self, piece: object) -> bytes:
        return cast("bytes", piece)  # the result of make()


class GzipBody:
    """Body of one reader's stream with gzip."""

    encoding: ClassVar[str | None] = "gzip"
    begin = HEAD
    make = staticmethod(pack)

    def __init__(self) -> None:
        self.crc = self.length = 0

    def encode_next(self, piece: object) -> bytes:
        member = cast("GzipMember", piece)  # the result of make()
        self.crc = _product(member.shift, self.crc) ^ member.crc
        self.length += member.length
        return member.packed

    @property
    def end(self) -> bytes:
        return EMPTY + struct.pack("<LL", self.crc, self.length % 2**32)


type Body = PlainBody | GzipBody


def encoding_for(accepted: str) -> type[Body]:
    """Return the body class for the Accept-Encoding of a request."""
    wishes = [wish.replace(" ", "").lower().partition(";q=") for wish in accepted.split(",")]
    quality = next((quality or "1" for name, _mark, quality in wishes if name == "gzip"), "0")
    return GzipBody if quality.strip("0.") else PlainBody


def _power(exponent: int) -> int:
    """Return x to the power of `exponent`, modulo the polynomial."""
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
