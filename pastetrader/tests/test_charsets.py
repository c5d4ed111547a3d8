import codecs

import pytest

from pastetrader.charsets import plain

MANY = [
    "hex", "zlib", "bz2", "rot13", "base64", "uu", "quopri", "idna", "punycode", "undefined", "utf-16", "utf_7",
    "latin-1", "unicode_escape", "mbcs", '"hex"', "'hex", "a b", "\x00", "é",
]  # fmt: skip


@pytest.mark.parametrize("charset", MANY)
def test_another_charset_than_utf8_becomes_one_that_is_no_codec(charset: str) -> None:
    found = plain(f"application/json; charset={charset}; boundary=x")
    assert found.startswith("application/json; charset=not-")
    with pytest.raises(LookupError):
        codecs.lookup(found.partition("charset=")[2])


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/json;charset=UTF-8",
        'text/plain; charset="utf-8"',
        "multipart/form-data; boundary=x",
    ],
)
def test_what_says_utf8_or_nothing_stays_as_it_is(content_type: str) -> None:
    assert plain(content_type) == content_type


def test_what_cannot_be_read_is_nothing() -> None:
    assert plain("application/json; x=" + "y" * 20_000) == ""
