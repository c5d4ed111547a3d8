"""Charsets that a Content-Type may name; over a real server in test_body_limit.py."""

import codecs
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.handlers.wsgi import WSGIHandler

from ledgerkit.rest.charset import normalize_content_type, wsgi_charset_middleware

MANY = [
    "hex", "zlib", "bz2", "rot13", "base64", "uu", "quopri", "idna", "punycode", "undefined", "utf-16", "utf_7",
    "latin-1", "unicode_escape", "mbcs", '"hex"', "'hex", "a b", "\x00", "é",
]  # fmt: skip


@pytest.mark.parametrize("charset", MANY)
def test_another_charset_than_utf8_becomes_one_that_is_no_codec(charset: str) -> None:
    found = normalize_content_type(f"application/json; charset={charset}; boundary=x")
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
    assert normalize_content_type(content_type) == content_type


def test_what_cannot_be_read_is_nothing() -> None:
    assert normalize_content_type("application/json; x=" + "y" * 20_000) == ""


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["hex", "punycode", "x" * 20_000])
def test_under_wsgi_too(charset: str) -> None:
    environ: dict[str, Any] = {"CONTENT_TYPE": f"text/plain; charset={charset}", "HTTP_HOST": "localhost"}
    environ |= {"PATH_INFO": "/admin/", "QUERY_STRING": "q=%ff"}
    setup_testing_defaults(environ)
    said: list[str] = []
    wsgi_charset_middleware(WSGIHandler())(environ, lambda status, _headers: said.append(status))
    assert said == ["302 Found"]
