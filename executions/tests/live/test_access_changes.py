"""A stream ends within five seconds of the loss of its permission, whatever the cause."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.live import access_changes
from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token
from workflows.tests.factories import WorkflowFactory

from .stream_client import Reader, address, aside, log, open_stream, run_scene, until

pytestmark = pytest.mark.django_db(transaction=True)

MAX_WAIT = 5.0  # seconds
MOVES = "/api/v1/executions/stream/"


def somebody(name: str, **fields: Any) -> User:
    return User.objects.create_user(name, password="pw", **fields)


def may_view(user: Any) -> None:
    """Grant the permission by a group, as is usual."""
    group = Group.objects.create(name=f"viewers of {user}")
    group.permissions.add(Permission.objects.get(codename="view_workflowexecution"))
    user.groups.add(group)


def run_of(owner: User) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=WorkflowFactory(owner=owner)), "running")


def token_of(user: User, **fields: Any) -> tuple[Token, str]:
    return Token.objects.issue(user=user, name="t", scopes=[Scope.EXECUTIONS_READ], **fields)


class Case:
    """A stream, and a change that takes the right to it away."""

    def __init__(self, name: str, url: str, lose: Callable[[], Any], *, secret: str = "", user: Any = None) -> None:
        self.name, self.url, self.lose, self.secret, self.user = name, url, lose, secret, user
        self.client = Client()
        if user:
            self.client.force_login(user)

    async def open(self, stack: AsyncExitStack) -> Reader:
        if self.secret:
            return await stack.enter_async_context(open_stream(self.secret, self.url))
        visitor = AsyncClient()
        visitor.cookies = self.client.cookies
        reader = Reader(await visitor.get(self.url))
        stack.push_async_callback(asyncio.to_thread, reader.response.close)
        stack.push_async_callback(reader.parts.aclose)
        return reader


def cases_of_tokens() -> list[Case]:
    cases = []
    for place, (name, lose) in enumerate({
        "the token is revoked": lambda token: token.revoke(),
        "the token is deleted": lambda token: token.delete(),
        "the token expires": lambda token: Token.objects.filter(pk=token.pk).update(expires_at=timezone.now()),
        "the token loses its scope": lambda token: Token.objects.filter(pk=token.pk).update(scopes=[]),
        "the account is made inactive": lambda token: User.objects.filter(pk=token.user_id).update(is_active=False),
    }.items()):  # fmt: skip
        owner = somebody(f"owner {place}")
        run = run_of(owner)
        for url in (address(run), MOVES):
            token, secret = token_of(owner)
            cases.append(Case(f"{name}: {url}", url, lambda lose=lose, token=token: lose(token), secret=secret))
    return cases


def cases_of_workflows() -> list[Case]:
    owner, heir = somebody("first owner"), somebody("heir")
    run, other = run_of(owner), run_of(owner)
    _token, secret = token_of(owner)
    bound, bound_secret = token_of(owner, bound_to=[other.workflow_id])

    def give() -> None:
        type(run.workflow).objects.filter(pk=run.workflow_id).update(owner=heir)

    def bind() -> None:
        Token.objects.filter(pk=bound.pk).update(bound_to=[run.workflow_id])

    return [
        Case("the workflow is given away", address(run), give, secret=secret),
        Case("the token is bound elsewhere", address(other), bind, secret=bound_secret),
        Case("the token is bound elsewhere: moves", MOVES, bind, secret=bound_secret),
    ]


def cases_of_sessions() -> list[Case]:
    run = run_of(somebody("third owner"))
    admin = f"/admin/executions/workflowexecution/{run.pk}/stream/"
    return [case for number, url in enumerate((address(run), MOVES, admin)) for case in cases_of_session(number, url)]


def cases_of_session(number: int, url: str) -> Iterator[Case]:
    sessions: dict[User, Any] = {}
    for place, (name, lose) in enumerate({
        "no staff any more": lambda user: User.objects.filter(pk=user.pk).update(is_staff=False),
        "a group loses a permission": lambda user: user.groups.get().permissions.clear(),
        "another password": lambda user: (user.set_password("new"), user.save()),
        "the session ends": lambda user: Session.objects.filter(pk=sessions[user]).delete(),
    }.items()):  # fmt: skip
        viewer = somebody(f"viewer {number} {place}", is_staff=True)
        may_view(viewer)
        case = Case(f"{name}: {url}", url, lambda lose=lose, viewer=viewer: lose(viewer), user=viewer)
        sessions[viewer] = case.client.session.session_key
        yield case


async def ended_after(case: Case, reader: Reader, began: float) -> float:
    async for _part in reader.parts:
        pass
    return time.monotonic() - began


@pytest.mark.slow
def test_whatever_takes_the_right_ends_the_stream_within_five_seconds(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 * access_changes.EVERY < MAX_WAIT
    monkeypatch.setattr(access_changes, "EVERY", 0.3)
    cases = [*cases_of_tokens(), *cases_of_workflows(), *cases_of_sessions()]

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            readers = [await case.open(stack) for case in cases]
            for reader in readers:
                await reader.next()
            await asyncio.sleep(access_changes.EVERY + 0.5)  # as they would be open for long
            for case in cases:
                await aside(case.lose)
            began = time.monotonic()
            waits = [asyncio.create_task(ended_after(*each, began)) for each in zip(cases, readers, strict=True)]
            await asyncio.wait(waits, timeout=2 * MAX_WAIT)
            late = [
                case.name
                for case, wait in zip(cases, waits, strict=True)
                if not wait.done() or wait.result() > MAX_WAIT
            ]
            for wait in waits:
                wait.cancel()
            assert not late

    run_scene(scene)


@pytest.mark.slow
def test_who_keeps_the_right_is_told_on_and_all_streams_are_looked_after_by_one_statement(
    run: Any, token: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_changes, "EVERY", 0.1)
    looks: list[int] = []

    def count_queries(grounds: Any) -> Any:
        looks.append(len(grounds))
        with CaptureQueriesContext(connection) as queries:
            found = real(grounds)
        assert len(queries) == 1
        return found

    real = access_changes.read
    monkeypatch.setattr(access_changes, "read", count_queries)

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(open_stream(token[1], address(run))) for _ in range(4)]
            for reader in readers:
                await reader.event("execution")
            began, before = time.monotonic(), len(looks)
            await aside(lambda: User.objects.filter(pk=owner.pk).update(is_staff=True))  # which takes nothing
            await aside(until, lambda: len(looks) - before >= 4)
            assert len(looks) - before <= (time.monotonic() - began) / 0.1 + 1
            await aside(log, run, "still told")
            for reader in readers:
                assert [line["message"] for line in await reader.event("logs")] == ["still told"]

    run_scene(scene)
    assert set(looks) == {3}  # the account, the token, the run: however many streams rest on them


@pytest.mark.slow
def test_a_right_that_is_lost_before_the_first_look_ends_the_stream_too(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.next()
            await aside(token[0].revoke)
            began = time.monotonic()
            await reader.rest(MAX_WAIT)
            assert time.monotonic() - began <= MAX_WAIT

    run_scene(scene)


@pytest.mark.slow
def test_a_beat_is_an_event_where_it_is_requested(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with open_stream(token[1], address(run, "?heartbeat=1")) as reader:
            await reader.event("execution")
            assert await reader.event("heartbeat", 5) == {}

    run_scene(scene)


@pytest.mark.slow
def test_a_token_that_expires_by_itself_is_noticed() -> None:
    owner = somebody("owner")
    soon, _secret = token_of(owner, expires_at=timezone.now() + timedelta(seconds=1))
    ground = access_changes.AccessRow("token", str(soon.pk))
    before = access_changes.read([ground])
    time.sleep(1.1)
    assert access_changes.read([ground]) != before


def test_who_polls_the_moves_without_an_id_learns_one_and_misses_nothing(run: Any, token: Any, client: Any) -> None:
    headers = {"Authorization": f"Token {token[1]}"}
    first = client.get(MOVES, {"wait": "0"}, headers=headers).text
    assert "event: heartbeat" in first
    id = first.split("id: ")[1].split("\n")[0]
    run.complete()
    told = client.get(MOVES, {"wait": "0", "last_event_id": id}, headers=headers).text
    assert "event: execution" in told
    assert str(run.pk) in told
