"""The path prefix of a proxy: the setting, or the header of a proxy that is trusted."""

import asyncio
import json
from typing import Any

import pytest
from django.http import HttpRequest, JsonResponse
from django.urls import path, reverse

from pastetrader.threaded_handler import ThreadedHandler

HEADER = b"x-forwarded-prefix"
ROOT = {"path_info": "/page/", "path": "/page/", "link": "/page/"}
BELOW = {"path_info": "/page/", "path": "/ledger/page/", "link": "/ledger/page/"}


def page(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"path_info": request.path_info, "path": request.path, "link": reverse("page")})


urlpatterns = [path("page/", page, name="page")]


@pytest.fixture(autouse=True)
def site(settings: Any) -> Any:
    settings.ROOT_URLCONF, settings.MIDDLEWARE, settings.TRUST_FORWARDED_PREFIX = __name__, [], True
    return settings


def ask(address: str, *prefixes: bytes) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), *((HEADER, prefix) for prefix in prefixes)]
    scope = {"type": "http", "method": "GET", "path": address, "query_string": b"", "headers": headers}
    handler = ThreadedHandler()
    try:
        asyncio.run(asyncio.wait_for(handler(scope, receive, send), 10))
    finally:
        handler.stop()
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body) if body.startswith(b"{") else body.decode()


@pytest.mark.parametrize("address", ["/page/", "/ledger/page/"])
@pytest.mark.parametrize("prefix", [b"/ledger", b"/ledger/"])
def test_a_trusted_proxy_names_the_prefix_whether_it_takes_it_off_or_not(address: str, prefix: bytes) -> None:
    assert ask(address, prefix) == (200, BELOW)
    assert ask("/page/") == (200, ROOT), "the next request of the thread has its own"


@pytest.mark.parametrize("prefix", [b"", b"/"])
def test_a_proxy_may_serve_the_root_of_its_host(prefix: bytes) -> None:
    assert ask("/page/", prefix) == (200, ROOT)


def test_the_header_of_others_is_not_read(site: Any) -> None:
    site.TRUST_FORWARDED_PREFIX = False
    assert ask("/page/", b"/ledger") == (200, ROOT)


def test_the_setting_is_more_than_the_header(site: Any) -> None:
    site.FORCE_SCRIPT_NAME = "/ledger"
    assert ask("/page/", b"/elsewhere") == (200, BELOW)


@pytest.mark.parametrize(
    "prefixes",
    [
        (b"ledger",), (b"//evil.example",), (b"https://evil.example",), (b"/a b",), (b"/<script>",), (b"/a/../..//b",),
        (b"/\xff",), (b"/a, /b",), (b"/ledger", b"/ledger"), (b"/a\\b",),
    ],
)  # fmt: skip
def test_what_is_no_prefix_is_refused(prefixes: tuple[bytes, ...]) -> None:
    status, sentence = ask("/page/", *prefixes)
    assert (status, sentence.split()[0]) == (400, "X-Forwarded-Prefix")
