"""A stream, from its first byte to its end, by a client of this process."""

import asyncio
import gc
import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import AsyncClient

from executions.live import limits, server_sent_events, topics
from executions.live import reader as reading
from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory
from executions.tests.live.stream_client import Reader, address, aside, log, open_stream, run_scene

pytestmark = pytest.mark.django_db(transaction=True)


class Clumsy:
    """A middleware that breaks the response."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        self.get_response(request)
        raise RuntimeError("broken on the way out")


def test_a_stream_tells_state_lines_and_the_end_and_closes(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER", timedelta())
    node = NodeExecutionFactory(workflow_execution=run)

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            assert await reader.next() == "retry: 2000"
            assert (await reader.event("node"))["status"] == "pending"
            told = await reader.event("execution")
            assert (told["status"], told["failed_nodes"]) == ("running", 0)
            await aside(log, run, "one", "two")
            assert [line["message"] for line in await reader.event("logs")] == ["one", "two"]
            await aside(node.start)
            assert (await reader.event("node"))["status"] == "running"
            await aside(run.cancel)
            assert (await reader.event("execution"))["status"] == "cancelled"
            assert await reader.event("end") == {"id": str(run.pk), "status": "cancelled", "attempt": 1}
            assert await reader.rest() == ""

    run_scene(scene)


@pytest.mark.slow
def test_last_event_id_goes_on_by_header_and_by_parameter(run: Any, token: Any) -> None:
    log(run, "one")

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            assert [line["message"] for line in await reader.event("logs")] == ["one"]
            cursor = reader.last
        await aside(log, run, "two")
        for query, headers in ((f"?last_event_id={cursor}", {}), ("", {"Last-Event-ID": cursor})):
            async with open_stream(token[1], address(run, query), **headers) as reader:
                assert [line["message"] for line in await reader.event("logs")] == ["two"]
        async with open_stream(
            token[1], address(run, f"?last_event_id={cursor}"), **{"Last-Event-ID": reader.last}
        ) as new:
            await aside(log, run, "three")
            assert [line["message"] for line in await new.event("logs")] == ["three"]

    run_scene(scene)


def test_from_now_tells_the_state_and_only_new_lines(run: Any, token: Any) -> None:
    log(run, "old")

    async def scene() -> None:
        async with open_stream(token[1], address(run, "?from=now")) as reader:
            assert (await reader.event("execution"))["status"] == "running"
            await aside(log, run, "new")
            assert [line["message"] for line in await reader.event("logs")] == ["new"]

    run_scene(scene)


def test_the_end_told_already_is_204_and_a_retry_opens_the_stream_again(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER", timedelta())
    run.fail("went wrong")

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("end")
        said = {"Authorization": f"Token {token[1]}", "Last-Event-ID": reader.last}
        assert (await AsyncClient().get(address(run), headers=said)).status_code == 204
        await aside(run.retry)
        async with open_stream(token[1], address(run), **{"Last-Event-ID": reader.last}) as again:
            assert (await again.event("execution"))["status"] == "pending"

    run_scene(scene)


def test_a_line_is_printed_as_its_list_prints_it(run: Any, token: Any) -> None:
    node = NodeExecutionFactory(workflow_execution=run)
    moment = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    for line in (
        {"message": 'of "node"\\\n\t\x01\u2028 가격 \U0001f600', "node_execution": node, "timestamp": moment},
        {"message": "", "level": "error", "timestamp": moment.replace(microsecond=1200)},
        {"message": "later", "data": {"b": [1, 2.5, None], "a": {"": "é"}}, "is_cut": True},
    ):
        ExecutionLog.objects.create(workflow_execution=run, **{"level": "info", **line})

    async def scene() -> None:
        said = {"Authorization": f"Token {token[1]}"}
        listed = await AsyncClient().get(f"/api/v1/executions/{run.pk}/logs/?ordering=timestamp", headers=said)
        async with open_stream(token[1], address(run)) as reader:
            told = await reader.event("logs")
        rows = json.loads(listed.content)["results"]
        assert [list(line.items()) for line in told] == [list(row.items()) for row in rows]

    run_scene(scene)


def test_who_takes_gzip_is_sent_what_others_are_sent_and_it_ends_as_gzip_does(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER", timedelta())
    log(run, "one")

    async def scene() -> None:
        said = {"Authorization": f"Token {token[1]}", "Accept-Encoding": "gzip, br"}
        response: Any = await AsyncClient().get(address(run), headers=said)
        assert (response["Content-Encoding"], response["Vary"]) == ("gzip", "Accept-Encoding")
        parts = aiter(response.streaming_content)
        packed = await anext(parts) + await anext(parts)
        assert b'"message":"one"' in zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(packed)
        await aside(run.cancel)
        packed += b"".join([part async for part in parts])
        await asyncio.to_thread(response.close)
        async with open_stream(token[1], address(run)) as plain:
            text = gzip.decompress(packed).decode()
            assert text.count("event: logs") == 1
            assert text.endswith(f"data: {json.dumps(await plain.event('end'), separators=(',', ':'))}\n\n")

    run_scene(scene)


def test_silence_is_filled_with_heartbeats(run: Any, token: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent_events, "HEARTBEAT", 0.1)

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            assert await reader.next() == ": heartbeat"
            assert await reader.next() == ": heartbeat"

    run_scene(scene)


def test_many_readers_are_served_by_one_reading_and_a_slow_one_holds_up_nobody(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(topics, "KEPT_STEPS", 2)
    monkeypatch.setattr(reading.RunReader, "pause", 0.01)
    with_news = []
    read = reading.RunReader.read

    def count_news(*arguments: Any) -> reading.Step:
        step = read(*arguments)
        with_news.append(step.has_events)
        return step

    monkeypatch.setattr(reading.RunReader, "read", count_news)

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as slow:
            await slow.event("execution")
            async with open_stream(token[1], address(run)) as one, open_stream(token[1], address(run)) as other:
                for reader in (one, other):
                    await reader.event("execution")
                before = sum(with_news)
                for number in range(8):
                    await aside(log, run, f"line {number}")
                    for reader in (one, other):
                        assert [line["message"] for line in await reader.event("logs")] == [f"line {number}"]
                assert sum(with_news) - before == 8
            told = []
            while len(told) < 8:
                told += [line["message"] for line in await slow.event("logs")]
            assert told == [f"line {number}" for number in range(8)]

    run_scene(scene)


@pytest.mark.parametrize("lost", ["the token", "the account", "the run"])
def test_who_loses_the_right_is_told_no_more(
    run: Any, token: Any, owner: Any, stranger: Any, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_sent_events, "CHECK_EVERY", 0.2)

    def lose() -> None:
        if lost == "the token":
            token[0].revoke()
        elif lost == "the account":
            type(owner).objects.update(is_active=False)
        else:
            type(run.workflow).objects.update(owner=stranger)

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lose)
            assert "event" not in await reader.rest()

    run_scene(scene)


def test_a_session_that_is_ended_is_told_no_more(
    run: Any, owner: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_sent_events, "CHECK_EVERY", 0.2)
    client.force_login(owner)

    async def scene() -> None:
        visitor = AsyncClient()
        visitor.cookies = client.cookies
        reader = Reader(await visitor.get(address(run)))
        await reader.event("execution")
        await asyncio.sleep(0.5)
        await aside(log, run, "still")
        assert await reader.event("logs")
        await aside(client.session.flush)
        assert "event" not in await reader.rest()

    run_scene(scene)


def test_one_user_may_open_so_many_streams_and_gets_a_place_back(run: Any, token: Any, settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"STREAMS_PER_USER": 2}
    headers = {"Authorization": f"Token {token[1]}"}

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as first, open_stream(token[1], address(run)) as second:
            await first.next()
            await second.next()
            refused = await AsyncClient().get(address(run), headers=headers)
            assert (refused.status_code, refused["Retry-After"]) == (429, "5")
            assert refused["Content-Type"] == "application/problem+json"
            assert "You have 2 streams open" in refused.json()["detail"]
            polled = await AsyncClient().get(address(run, "?wait=0"), headers=headers)
            assert polled.status_code == 200
        async with open_stream(token[1], address(run)) as third:
            await third.next()

    run_scene(scene)


def test_a_place_is_given_back_where_nobody_comes_to_read(run: Any, token: Any) -> None:
    async def scene() -> None:
        response = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
        assert limits.count() == 1
        await asyncio.to_thread(response.close)
        assert limits.count() == 0

    run_scene(scene)


def test_the_streams_of_all_users_are_capped_too(run: Any, token: Any, settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"STREAMS": 1}

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as first:
            await first.next()
            refused = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
            assert (refused.status_code, "This server" in refused.json()["detail"]) == (429, True)

    run_scene(scene)


@pytest.mark.slow
def test_wait_bounds_a_stream(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with open_stream(token[1], address(run, "?wait=1")) as reader:
            await reader.event("execution")
            assert await reader.rest() == ""

    run_scene(scene)


def test_a_run_that_is_deleted_ends_its_streams(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(WorkflowExecution.objects.all().delete)
            await aside(lambda: connection.cursor().execute("SELECT pg_notify('ledger_runs', %s)", [str(run.pk)]))
            assert await reader.rest() == ""
        gone = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
        assert gone.status_code == 404

    run_scene(scene)


def test_a_stream_that_a_middleware_threw_away_gives_its_place_back(run: Any, token: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.Clumsy", *settings.MIDDLEWARE]

    async def scene() -> None:
        said = {"Authorization": f"Token {token[1]}"}
        answer = await AsyncClient(raise_request_exception=False).get(address(run), headers=said)
        assert answer.status_code == 500
        await asyncio.to_thread(gc.collect)

    run_scene(scene)  # which looks at the places
