"""Text that is packed once for many readers: each of them unpacks what was sent."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.live.compression import GzipBody, PlainBody, encoding_for


@given(st.lists(st.binary(max_size=3_000), max_size=6))
def test_pieces_are_unpacked_after_any_others_and_the_sum_at_the_end_is_right(texts: list[bytes]) -> None:
    pieces = {text: GzipBody.make(text) for text in texts}
    for order in (texts, texts[::-1], texts[1:]):
        body = GzipBody()
        sent = body.begin + b"".join(body.encode_next(pieces[text]) for text in order)
        assert gzip.decompress(sent + body.end) == b"".join(order)


def test_what_was_sent_so_far_can_be_unpacked_so_far() -> None:
    body, reader = GzipBody(), zlib.decompressobj(16 + zlib.MAX_WBITS)
    reader.decompress(body.begin)
    for text in (b"data: one\n\n", b": heartbeat\n\n", b"data: two\n\n"):
        assert reader.decompress(body.encode_next(GzipBody.make(text))) == text


@pytest.mark.parametrize(
    ("accepted", "body"),
    [
        ("gzip, deflate, br, zstd", GzipBody),
        ("br;q=1.0, GZIP ; q=0.5", GzipBody),
        ("", PlainBody),
        ("identity", PlainBody),
        ("gzip;q=0", PlainBody),
        ("gzip;q=0.000, br", PlainBody),
        ("x-gzip2", PlainBody),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(accepted: str, body: type) -> None:
    assert encoding_for(accepted) is body
