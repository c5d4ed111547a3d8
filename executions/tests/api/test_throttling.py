"""Rate limits of a caller."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from executions.models import WorkflowExecution
from workflows.models import Workflow

RUNS = "/api/v1/executions/"


@pytest.fixture
def throttle_clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[list[float]]:
    """Allow two requests a minute to read and to write, and yield the clock that counts them."""
    clock = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    settings.TOKENS = settings.TOKENS | {"THROTTLE_READ": "2/min", "THROTTLE_WRITE": "2/min"}
    yield clock
    caches["failures"].clear()


@pytest.fixture
def body(workflow: Workflow) -> dict[str, str]:
    return {"workflow": str(workflow.pk), "trigger_type": "manual"}


def test_one_call_too_many_is_429_until_its_time_has_come(api: Any, owner: Any, throttle_clock: list[float]) -> None:
    client = api(owner)
    assert [client.get(RUNS).status_code for _ in range(3)] == [200, 200, 429]
    throttle_clock[0] += 50
    answer = client.get(RUNS)
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    assert (answer["Retry-After"], answer.json()["code"]) == ("10", "throttled")
    throttle_clock[0] += 10
    assert client.get(RUNS).status_code == 200


def test_each_token_and_each_session_is_counted_by_itself(
    api: Any, owner: Any, client: Any, throttle_clock: list[float]
) -> None:
    client.force_login(owner)
    for caller in (api(owner), api(owner), client):
        assert [caller.get(RUNS).status_code for _ in range(3)] == [200, 200, 429]


def test_reading_and_writing_are_counted_apart(api: Any, owner: Any, body: Any, throttle_clock: list[float]) -> None:
    caller = api(owner)
    assert [caller.get(RUNS).status_code for _ in range(3)] == [200, 200, 429]
    assert [caller.post(RUNS, body, format="json").status_code for _ in range(3)] == [201, 201, 429]
    assert WorkflowExecution.objects.count() == 2


def test_what_was_refused_is_not_remembered_under_its_key(
    api: Any, owner: Any, body: Any, throttle_clock: list[float]
) -> None:
    caller, key = api(owner), {"Idempotency-Key": "key"}
    for _ in range(2):
        caller.post(RUNS, body, format="json")
    assert caller.post(RUNS, body, format="json", headers=key).status_code == 429
    throttle_clock[0] += 60
    first, again = (caller.post(RUNS, body, format="json", headers=key) for _ in range(2))
    assert (first.status_code, "Idempotent-Replayed" in first) == (201, False)
    assert again["Idempotent-Replayed"] == "true"
    assert caller.post(RUNS, body, format="json", headers=key).status_code == 429, "a repetition counts too"


def test_who_is_nobody_is_told_401_and_not_counted(api: Any, throttle_clock: list[float]) -> None:
    assert [api().get(RUNS).status_code for _ in range(4)] == [401] * 4


def test_nothing_is_counted_where_nothing_is_limited(
    api: Any, owner: Any, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_use(*_: Any) -> None:
        raise AssertionError("the cache was asked")

    for method in "get", "set", "add", "incr":
        monkeypatch.setattr(LocMemCache, method, fail_on_use)
    caller = api(owner)
    assert {caller.get(RUNS).status_code for _ in range(5)} == {200}
    assert caller.post(RUNS, body, format="json").status_code == 201
