"""Redirects after login, logout and the choice of a language stay on this site."""

from typing import Any

import pytest

INDEX = "/admin/"
ASTRAY = (
    "https://evil.example/",
    "//evil.example/admin/",
    "/\\evil.example",
    "javascript:alert(1)",
    "/nope/",
    "/admin/nope/",
    "/api/v1/nope/",
    "/admin/logout/",
    "nope",
    "/admin/\x01",
    "",
)
RIGHT = ("/admin/auth/group/", "/admin/auth/group", "/admin/?a=b", "/api/v1/docs/")


@pytest.fixture
def signed_up(staff: Any) -> dict[str, str]:
    staff.set_password("right")
    staff.save()
    return {"username": staff.username, "password": "right"}


@pytest.mark.parametrize("target", ASTRAY)
def test_a_login_leads_to_no_page_that_is_none(client: Any, signed_up: dict[str, str], target: str) -> None:
    assert client.post("/admin/login/", signed_up | {"next": target})["Location"] == INDEX
    assert client.get("/admin/login/", {"next": target})["Location"] == INDEX  # is signed in by now


def test_a_login_by_the_address_leads_to_no_page_that_is_none(client: Any, signed_up: dict[str, str]) -> None:
    assert client.post("/admin/login/?next=/nope/", signed_up)["Location"] == INDEX


def test_a_login_that_names_no_page_leads_to_the_front_page(client: Any, signed_up: dict[str, str]) -> None:
    assert client.post("/admin/login/", signed_up)["Location"] == INDEX


@pytest.mark.parametrize("target", RIGHT)
def test_a_login_leads_where_one_was_going(client: Any, signed_up: dict[str, str], target: str) -> None:
    assert client.post("/admin/login/", signed_up | {"next": target})["Location"] == target


@pytest.mark.parametrize("target", ASTRAY)
def test_neither_the_language_nor_a_logout_leads_astray(client: Any, staff: Any, target: str) -> None:
    client.force_login(staff)
    answer = client.post("/i18n/setlang/", {"language": "ko", "next": target})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.post("/admin/logout/", {"next": target}).status_code == 200  # says that one has left
    assert client.get("/admin/").status_code == 302
