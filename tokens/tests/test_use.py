"""When a token was last used: noted to the minute, by the statement that finds it, and nobody waits for it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from tokens import models
from tokens.models import Token, digest

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/executions/"


@pytest.fixture
def secret(owner: Any) -> str:
    """Return the secret of a token that was never used."""
    return Token.objects.issue(user=owner, name="engine", scopes=["executions:read"])[1]


def last_use() -> Any:
    return Token.objects.get().last_used_at


def test_the_statement_that_finds_a_token_notes_its_use(secret: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert Token.objects.authenticate(secret) is not None
    assert timezone.now() - last_use() < timedelta(seconds=30)


@pytest.mark.parametrize(("ago", "again"), [(0, False), (58, False), (61, True), (9_000, True)])
def test_a_use_is_noted_again_after_a_minute(secret: str, ago: int, again: bool) -> None:
    Token.objects.update(last_used_at=Now() - timedelta(seconds=ago))
    before = last_use()
    Token.objects.authenticate(secret)
    assert (last_use() > before) is again


@pytest.mark.parametrize(
    "unusable", [{"expires_at": timezone.now() - timedelta(days=1)}, {"revoked_at": timezone.now()}, {"digest": "x"}]
)
def test_what_opens_nothing_is_not_noted_as_used(secret: str, unusable: dict[str, Any]) -> None:
    Token.objects.update(**unusable)
    assert (Token.objects.authenticate(secret), last_use()) == (None, None)


def test_neither_is_the_token_of_an_inactive_user(secret: str, owner: Any) -> None:
    owner.is_active = False
    owner.save()
    assert (Token.objects.authenticate(secret), last_use()) == (None, None)


@pytest.mark.django_db(transaction=True)
def test_of_16_that_come_at_once_all_pass_and_one_notes_it(secret: str) -> None:
    barrier = threading.Barrier(16)

    def ask(_number: int) -> Any:
        connection.ensure_connection()
        barrier.wait(timeout=60)
        try:
            return models._lookup().first(digest(secret))
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    assert None not in answers
    assert sum(token.is_use_recorded for token in answers) == 1


@pytest.mark.django_db(transaction=True)
def test_whoever_comes_while_another_holds_the_row_passes_and_leaves_the_note_to_them(secret: str) -> None:
    found: list[Token | None] = []

    def ask() -> None:
        with impatient():
            found.append(Token.objects.authenticate(secret))
        connection.close()

    with transaction.atomic():
        Token.objects.select_for_update().get()
        other = threading.Thread(target=ask)
        other.start()
        other.join()
    assert [token is not None for token in found] == [True]
    assert last_use() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("header", [{"HTTP_IDEMPOTENCY_KEY": "a key"}, {"HTTP_IF_MATCH": '"1"'}])
def test_a_request_in_a_long_transaction_neither_holds_its_token_nor_hides_its_use(
    api: Any, owner: Any, workflow: Any, monkeypatch: Any, header: dict[str, str]
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner, used=False)
    inside, go_on, codes, start = threading.Event(), threading.Event(), [], WorkflowExecution.start

    def slowly(self: WorkflowExecution) -> None:
        inside.set()
        go_on.wait(30)
        start(self)

    def first() -> None:
        codes.append(client.post(f"{RUNS}{run.pk}/start/", {}, format="json", **header).status_code)
        connection.close()

    monkeypatch.setattr(WorkflowExecution, "start", slowly)
    other = threading.Thread(target=first)
    other.start()
    try:
        assert inside.wait(30)
        noted = last_use()
        with impatient():
            assert client.get(RUNS).status_code == 200
            Token.objects.get().revoke()
    finally:
        go_on.set()
        other.join()
    assert (codes, client.get(RUNS).status_code) == ([200], 401)
    assert last_use() == noted is not None


@contextmanager
def impatient() -> Iterator[None]:
    """Make statements of this connection that wait for a lock fail at once. The connection returns to its pool."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1ms'")
        yield
        cursor.execute("RESET lock_timeout")


def test_a_token_is_read_with_the_name_of_its_user_whichever_field_that_is(
    owner: Any, secret: str, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    for name in ("email", "username"):
        monkeypatch.setattr(type(owner), "USERNAME_FIELD", name)
        monkeypatch.setattr(models, "_lookup", models._lookup.__wrapped__)  # without what an earlier test compiled
        found = Token.objects.authenticate(secret)
        assert found is not None
        with django_assert_num_queries(0):
            assert found.user.get_username() == getattr(owner, name)
        monkeypatch.undo()
