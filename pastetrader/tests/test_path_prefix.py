"""The path prefix of a proxy: the setting, or the header of a proxy that is trusted."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, JsonResponse
from django.urls import path, reverse

from ledgerkit.path_prefix import path_prefix
from pastetrader.static_storage import StaticFilesStorage
from pastetrader.tests.asgi_requests import request_site

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
    sent = request_site(address, *((HEADER, prefix) for prefix in prefixes))
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
        (b"/\xff",), (b"/a, /b",), (b"/ledger", b"/ledger"), (b"/a\\b",), (b"/..",), (b"/a/../../b",), (b"/./a",),
    ],
)  # fmt: skip
def test_what_is_no_prefix_is_refused(prefixes: tuple[bytes, ...]) -> None:
    status, sentence = ask("/page/", *prefixes)
    assert (status, sentence.split()[0]) == (400, "X-Forwarded-Prefix")


def test_a_prefix_may_hold_dots(site: Any) -> None:
    assert ask("/page/", b"/.well-known/v1.2/...")[1]["link"] == "/.well-known/v1.2/.../page/"


def test_what_is_no_prefix_is_a_problem_for_a_program() -> None:
    status, problem = ask("/api/v1/executions/", b"no prefix")
    assert (status, problem["code"], problem["status"]) == (400, "invalid_request", 400)


def test_a_server_works_whatever_prefix_is_named() -> None:
    assert ask("/healthz", b"no prefix")[0] == ask("/ledger/healthz", b"/ledger")[0] == 200


def test_static_files_are_below_the_prefix_of_the_request(site: Any, tmp_path: Path) -> None:
    for setting in ("", "/ledger"):
        site.FORCE_SCRIPT_NAME = setting
        assert site.STATIC_URL == "/static/"  # kept by Django from now on
        with path_prefix("/ledger/"):
            assert StaticFilesStorage(tmp_path).base_url == "/ledger/static/"
