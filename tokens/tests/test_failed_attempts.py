"""Failed logins and tokens: after how many a caller has to wait, and who is not affected."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from pastetrader import settings as defaults
from tokens import failed_attempts

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
RUNS = "/api/v1/executions/"


@pytest.fixture(autouse=True)
def on(settings: Any) -> Iterator[None]:
    """Apply the default limits."""
    settings.TOKENS = defaults.TOKENS
    caches["failures"].clear()
    yield
    caches["failures"].clear()


@pytest.fixture
def admin(staff: Any) -> Any:
    staff.set_password("right")
    staff.save()
    return staff


def log_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tokens.failed_attempts"]


def log_in(password: str, name: str = "staff", address: str = "10.0.0.1", **headers: str) -> Any:
    return Client(REMOTE_ADDR=address).post(LOGIN, {"username": name, "password": password}, headers=headers)


def test_the_defaults_are_on() -> None:
    names = ("LOGIN_FAILURES", "LOGIN_FAILURES_ADDRESS", "LOGIN_FAILURES_NAME", "TOKEN_FAILURES")
    assert [defaults.TOKENS[name] for name in names] == [10, 50, 100, 30]


@pytest.mark.usefixtures("admin")
def test_after_wrong_passwords_the_right_one_is_refused_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [log_in("secret-guess").status_code for _ in range(25)] == [200] * 10 + [429] * 15
        answer = log_in("right")
    assert (answer.status_code, 841 <= int(answer["Retry-After"]) <= 900) == (429, True)
    assert "Try again in 15 minutes." in answer.content.decode()
    assert log_messages(caplog)[0] == "The login as 'staff' from '10.0.0.1' failed."
    assert re.search(r"failed\. Others are refused for (8[4-9]\d|900) seconds\.$", log_messages(caplog)[-1])
    assert len(log_messages(caplog)) == 10
    assert "guess" not in "".join(log_messages(caplog))


@pytest.mark.usefixtures("admin")
def test_the_refusal_of_an_attempt_is_in_korean() -> None:
    for _ in range(10):
        log_in("wrong")
    page = log_in("right", **{"Accept-Language": "ko"}).content.decode()
    assert "15분 후" in page


@pytest.mark.usefixtures("admin")
def test_the_right_password_is_taken_before_and_from_elsewhere() -> None:
    for _ in range(9):
        log_in("wrong")
    assert log_in("right").status_code == 302
    for _ in range(10):
        log_in("wrong")
    assert log_in("right").status_code == 429
    assert log_in("right", address="10.0.0.2").status_code == 302


@pytest.mark.usefixtures("admin")
def test_many_names_from_one_address_are_refused_and_so_is_one_name_from_many(settings: Any) -> None:
    settings.TOKENS = defaults.TOKENS | {"LOGIN_FAILURES_ADDRESS": 5, "LOGIN_FAILURES_NAME": 8}
    for number in range(5):
        assert log_in("wrong", name=f"guess{number}").status_code == 200
    assert log_in("right").status_code == 429
    for number in range(8):
        assert log_in("wrong", name="Other", address=f"10.1.0.{number}").status_code == 200
    assert log_in("wrong", name="other", address="10.2.0.1").status_code == 429


def test_the_old_password_is_not_guessed_on_the_page_that_changes_it(admin: Any) -> None:
    client = Client(REMOTE_ADDR="10.0.0.1")
    client.force_login(admin)
    form = {"new_password1": "correct-horse-9", "new_password2": "correct-horse-9"}
    said = [client.post("/admin/password_change/", form | {"old_password": "no"}).status_code for _ in range(11)]
    assert said == [200] * 10 + [429]
    assert client.post("/admin/password_change/", form | {"old_password": "right"}).status_code == 429


def with_token(token: str, address: str = "10.0.0.1", kind: str = "Token") -> Any:
    return APIClient(REMOTE_ADDR=address).get(RUNS, headers={"Authorization": f"{kind} {token}"})


def test_wrong_tokens_are_refused_by_address(api: Any, owner: Any, caplog: pytest.LogCaptureFixture) -> None:
    before, after = (api(owner)._credentials["HTTP_AUTHORIZATION"].split()[1] for _ in range(2))
    assert with_token(before).status_code == 200
    with caplog.at_level(logging.WARNING, logger="pastetrader"):
        said = [
            with_token(f"ptl_guess{number}", kind=("Token", "Bearer")[number % 2]).status_code for number in range(35)
        ]
    assert said == [401] * 30 + [429] * 5
    answer = with_token(after)
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert 30 <= int(answer["Retry-After"]) <= 60
    assert answer["Content-Type"] == "application/problem+json"
    assert with_token(before).status_code == 200, "one that was right lately is not refused for what others do"
    assert with_token(after, address="10.0.0.2").status_code == 200
    said = r"A request with a wrong token from '10\.0\.0\.1' failed\. Others are refused for ([345]\d|60) seconds\."
    assert re.fullmatch(said, log_messages(caplog)[-1])
    assert "ptl_" not in "".join(log_messages(caplog))


def test_a_right_token_is_looked_up_and_noted_once_a_minute(
    api: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes of a server wait for each other to write, and the cache is a file."""
    token = api(owner)._credentials["HTTP_AUTHORIZATION"].split()[1]
    cache, asked = type(caches["failures"]), []
    for name in "get", "set":
        method = getattr(cache, name)
        monkeypatch.setattr(
            cache, name, lambda *args, name=name, method=method: [asked.append((name, args[1])), method(*args)][1]
        )
    assert [with_token(token).status_code for _ in range(3)] == [200] * 3
    assert [name for name, key in asked if key.startswith("right:")] == ["get", "set"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert with_token(token).status_code == 200
    assert [name for name, key in asked if key.startswith("right:")] == ["get", "set"] * 2


@pytest.mark.parametrize(
    ("proxies", "header", "found"),
    [
        (0, "1.1.1.1", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.9", "1.1.1.1"),
        (2, "1.1.1.1", "10.0.0.1"),
    ],
)
def test_behind_proxies_the_address_is_the_one_that_they_saw(
    settings: Any, proxies: int, header: str, found: str
) -> None:
    settings.TOKENS = settings.TOKENS | {"PROXIES": proxies}
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": header})
    assert failed_attempts.address_of(request) == found


def test_an_ipv6_customer_is_one() -> None:
    assert (
        failed_attempts.network_of("2001:db8::1") == failed_attempts.network_of("2001:db8::ffff:1") == "2001:db8::/64"
    )
    assert failed_attempts.network_of("10.0.0.1") == "10.0.0.1"


def test_no_more_passwords_are_checked_at_once_than_may_be(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TOKENS = settings.TOKENS | {"LOGINS_AT_ONCE": 1}
    monkeypatch.setattr(failed_attempts, "PATIENCE", 0.01)
    with failed_attempts.take_turn() as is_ours:
        assert is_ours
        answer = log_in("any")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Too many users are logging in" in answer.content.decode()
    assert log_in("any").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_for_a_turn_holds_no_connection(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    @contextmanager
    def take_turn() -> Iterator[bool]:
        held.append(connection.connection is not None)
        yield False

    monkeypatch.setattr(failed_attempts, "take_turn", take_turn)
    client = Client()
    client.force_login(admin)
    assert client.post("/admin/password_change/", {"old_password": "no"}).status_code == 503
    assert held == [False]
