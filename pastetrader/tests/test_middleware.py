import gzip
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import RequestFactory
from psycopg.errors import DeadlockDetected
from psycopg_pool import PoolTimeout

from ledgerkit.rest import problems
from pastetrader.middleware import HtmlGZipMiddleware, RefusalMiddleware


@pytest.mark.parametrize("path", ["/admin/?q=%00", "/admin/r/6/%00/", "/api/v1/executions/?cursor=%00", "/%00"])
def test_a_nul_in_an_address_is_400(client: Any, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("name", ["pastetrader_session", "pastetrader_language", "pastetrader_time_zone"])
def test_a_nul_in_a_cookie_is_400(client: Any, name: str) -> None:
    client.cookies[name] = "\x00" + "a" * 31
    assert client.get("/admin/").status_code == 400


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/executions/", "application/problem+json"), ("/admin/", "text/plain; charset=utf-8")]
)
def test_who_waited_too_long_for_a_connection_is_told_to_come_back(path: str, kind: str) -> None:
    error = OperationalError("couldn't get a connection")
    error.__cause__ = PoolTimeout()
    answer: Any = RefusalMiddleware(Mock()).process_exception(RequestFactory().get(path), error)
    assert (answer.status_code, answer["Retry-After"], answer["Content-Type"]) == (503, "5", kind)


def test_a_request_of_the_api_whose_commit_fails_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks after the view has returned: nobody knows whether the database has committed."""
    monkeypatch.setattr(problems, "_unserved", {})
    error = OperationalError("the connection is lost\nwith a second line")
    answer: Any = RefusalMiddleware(Mock()).process_exception(RequestFactory().post("/api/v1/executions/"), error)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The database did not serve a request: OperationalError: the connection is lost" in caplog.text
    assert "second line" not in caplog.text
    assert RefusalMiddleware(Mock()).process_exception(RequestFactory().get("/admin/"), error) is None


def test_each_cause_of_a_refusal_is_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(problems, "_unserved", {})
    for cause in (PoolTimeout("no connection"), PoolTimeout("no connection"), DeadlockDetected("deadlock detected")):
        error = OperationalError("it failed")
        error.__cause__ = cause
        problems.exception_handler(error, {})
    assert caplog.messages == [
        "The database did not serve a request: PoolTimeout: no connection",
        "The database did not serve a request: DeadlockDetected: deadlock detected",
    ]


PACKS = {"Accept-Encoding": "gzip, br"}


def test_a_page_is_packed_for_whoever_unpacks_it(client: Any) -> None:
    plain, packed = client.get("/admin/login/"), client.get("/admin/login/", headers=PACKS)
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 2
    assert b"login-form" in gzip.decompress(packed.content)
    assert "Accept-Encoding" in packed["Vary"]


def test_no_two_packed_pages_are_alike_so_that_their_length_tells_nothing(client: Any) -> None:
    assert len({len(client.get("/admin/login/", headers=PACKS).content) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "answer",
    [
        JsonResponse({"lines": ["x" * 10_000]}),
        StreamingHttpResponse(["<p>", "x" * 10_000], content_type="text/html"),
        StreamingHttpResponse(["data: x\n\n"], content_type="text/event-stream"),
        HttpResponse(status=304, headers={"Content-Type": ""}),
    ],
)
def test_what_is_no_page_passes_as_it_is(answer: Any) -> None:
    before = b"".join(answer) if answer.streaming else answer.content
    if answer.streaming:
        answer.streaming_content = [before]
    found = HtmlGZipMiddleware(Mock(return_value=answer))(RequestFactory().get("/", headers=PACKS))
    assert "Content-Encoding" not in found
    assert (b"".join(found) if found.streaming else found.content) == before
