"""A stream, from its first byte to its end, by a client of this process."""

import asyncio
import gc
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.test import AsyncClient

from executions.live import hub, reading, slots, stream, waiting
from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "running")


@pytest.fixture
def token(owner: Any) -> tuple[Token, str]:
    return Token.objects.issue(user=owner, name="live", scopes=[Scope.EXECUTIONS_READ])


def log(run: WorkflowExecution, *texts: str) -> None:
    ExecutionLog.objects.bulk_create(ExecutionLog(workflow_execution=run, level="info", message=text) for text in texts)


def address(run: Any, query: str = "") -> str:
    return f"/api/v1/executions/{run.pk}/stream/{query}"


class Reader:
    """An open stream, read event by event."""

    def __init__(self, response: Any) -> None:
        self.response, self.text = response, ""
        self.parts = aiter(response.streaming_content)

    async def next(self, seconds: float = 10) -> str:
        """The next block: an event, a comment, a hint."""
        async with asyncio.timeout(seconds):
            while "\n\n" not in self.text:
                self.text += (await anext(self.parts)).decode()
        block, self.text = self.text.split("\n\n", 1)
        return block

    async def event(self, kind: str) -> Any:
        """The data of the next event of that kind."""
        while True:
            block = await self.next()
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if fields.get("event") == kind:
                self.last = fields["id"]
                return json.loads(fields["data"])

    async def rest(self, seconds: float = 10) -> str:
        async with asyncio.timeout(seconds):
            async for part in self.parts:
                self.text += part.decode()
        return self.text


class Clumsy:
    """A middleware that breaks what it is given on its way out."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        self.get_response(request)
        raise RuntimeError("broken on the way out")


@asynccontextmanager
async def opened(secret: str, url: str, **headers: str) -> AsyncIterator[Reader]:
    response: Any = await AsyncClient().get(url, headers={"Authorization": f"Token {secret}", **headers})
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    reader = Reader(response)
    try:
        yield reader
    finally:
        await reader.parts.aclose()
        await asyncio.to_thread(response.close)  # as a server does


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Its streams, threads and connections are gone afterwards."""

    async def whole() -> None:
        try:
            await scene()
        finally:
            hub.here().close()

    asyncio.run(whole())
    assert slots.count() == 0
    for threads in (stream.in_thread.__globals__["TICKS"], stream.in_thread.__globals__["VISITS"]):
        threads.submit(connections.close_all).result()


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def aside(work: Callable[..., Any], *arguments: Any) -> Any:
    """As another process would: on a connection of its own."""

    def alone() -> Any:
        try:
            return work(*arguments)
        finally:
            connection.close()

    return await asyncio.to_thread(alone)


def test_a_stream_tells_state_lines_and_the_end_and_closes(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER", timedelta())
    node = NodeExecutionFactory(workflow_execution=run)

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            assert await reader.next() == "retry: 2000"
            assert (await reader.event("node"))["status"] == "pending"
            assert (await reader.event("execution"))["status"] == "running"
            await aside(log, run, "one", "two")
            assert [line["message"] for line in await reader.event("logs")] == ["one", "two"]
            await aside(node.start)
            assert (await reader.event("node"))["status"] == "running"
            await aside(run.cancel)
            assert (await reader.event("execution"))["status"] == "cancelled"
            assert await reader.event("end") == {"id": str(run.pk), "status": "cancelled", "attempt": 1}
            assert await reader.rest() == ""

    played(scene)


def test_last_event_id_goes_on_by_header_and_by_parameter(run: Any, token: Any) -> None:
    log(run, "one")

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            assert [line["message"] for line in await reader.event("logs")] == ["one"]
            cursor = reader.last
        await aside(log, run, "two")
        for query, headers in ((f"?last_event_id={cursor}", {}), ("", {"Last-Event-ID": cursor})):
            async with opened(token[1], address(run, query), **headers) as reader:
                assert [line["message"] for line in await reader.event("logs")] == ["two"]
        async with opened(token[1], address(run, f"?last_event_id={cursor}"), **{"Last-Event-ID": reader.last}) as new:
            await aside(log, run, "three")
            assert [line["message"] for line in await new.event("logs")] == ["three"]

    played(scene)


def test_from_now_tells_the_state_and_only_new_lines(run: Any, token: Any) -> None:
    log(run, "old")

    async def scene() -> None:
        async with opened(token[1], address(run, "?from=now")) as reader:
            assert (await reader.event("execution"))["status"] == "running"
            await aside(log, run, "new")
            assert [line["message"] for line in await reader.event("logs")] == ["new"]

    played(scene)


def test_the_end_told_already_is_204_and_a_retry_opens_the_stream_again(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINGER", timedelta())
    run.fail("went wrong")

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("end")
        said = {"Authorization": f"Token {token[1]}", "Last-Event-ID": reader.last}
        assert (await AsyncClient().get(address(run), headers=said)).status_code == 204
        await aside(run.retry)
        async with opened(token[1], address(run), **{"Last-Event-ID": reader.last}) as again:
            assert (await again.event("execution"))["status"] == "pending"

    played(scene)


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
        async with opened(token[1], address(run)) as reader:
            told = await reader.event("logs")
        rows = json.loads(listed.content)["results"]
        assert [list(line.items()) for line in told] == [list(row.items()) for row in rows]

    played(scene)


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
        async with opened(token[1], address(run)) as plain:
            text = gzip.decompress(packed).decode()
            assert text.count("event: logs") == 1
            assert text.endswith(f"data: {json.dumps(await plain.event('end'), separators=(',', ':'))}\n\n")

    played(scene)


def test_silence_is_filled_with_heartbeats(run: Any, token: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.1)

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            assert await reader.next() == ": heartbeat"
            assert await reader.next() == ": heartbeat"

    played(scene)


def test_many_readers_are_served_by_one_reading_and_a_slow_one_holds_up_nobody(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(hub, "KEPT", 2)
    monkeypatch.setattr(reading.Run, "pause", 0.01)
    reads = []
    read = reading.Run.read
    monkeypatch.setattr(reading.Run, "read", lambda *arguments: reads.append(1) or read(*arguments))

    async def scene() -> None:
        async with opened(token[1], address(run)) as slow:
            await slow.event("execution")
            async with opened(token[1], address(run)) as one, opened(token[1], address(run)) as other:
                for reader in (one, other):
                    await reader.event("execution")
                before = len(reads)
                for number in range(8):
                    await aside(log, run, f"line {number}")
                    for reader in (one, other):
                        assert [line["message"] for line in await reader.event("logs")] == [f"line {number}"]
                assert len(reads) - before < 16
            told = []
            while len(told) < 8:
                told += [line["message"] for line in await slow.event("logs")]
            assert told == [f"line {number}" for number in range(8)]

    played(scene)


@pytest.mark.parametrize("lost", ["the token", "the account", "the run"])
def test_who_loses_the_right_is_told_no_more(
    run: Any, token: Any, owner: Any, stranger: Any, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHECKED", 0.2)

    def lose() -> None:
        if lost == "the token":
            token[0].revoke()
        elif lost == "the account":
            type(owner).objects.update(is_active=False)
        else:
            type(run.workflow).objects.update(owner=stranger)

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lose)
            assert "event" not in await reader.rest()

    played(scene)


def test_a_session_that_is_ended_is_told_no_more(
    run: Any, owner: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHECKED", 0.2)
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

    played(scene)


def test_one_user_may_open_so_many_streams_and_gets_a_place_back(run: Any, token: Any, settings: Any) -> None:
    settings.EXECUTIONS_STREAMS_PER_USER = 2
    headers = {"Authorization": f"Token {token[1]}"}

    async def scene() -> None:
        async with opened(token[1], address(run)) as first, opened(token[1], address(run)) as second:
            await first.next()
            await second.next()
            refused = await AsyncClient().get(address(run), headers=headers)
            assert (refused.status_code, refused["Retry-After"]) == (429, "5")
            assert refused["Content-Type"] == "application/problem+json"
            assert "You have 2 streams open" in refused.json()["detail"]
            polled = await AsyncClient().get(address(run, "?wait=0"), headers=headers)
            assert polled.status_code == 200
        async with opened(token[1], address(run)) as third:
            await third.next()

    played(scene)


def test_a_place_is_given_back_where_nobody_comes_to_read(run: Any, token: Any) -> None:
    async def scene() -> None:
        response = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
        assert slots.count() == 1
        await asyncio.to_thread(response.close)
        assert slots.count() == 0

    played(scene)


def test_the_streams_of_all_users_are_capped_too(run: Any, token: Any, settings: Any) -> None:
    settings.EXECUTIONS_STREAMS = 1

    async def scene() -> None:
        async with opened(token[1], address(run)) as first:
            await first.next()
            refused = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
            assert (refused.status_code, "This server" in refused.json()["detail"]) == (429, True)

    played(scene)


def test_wait_bounds_a_stream(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with opened(token[1], address(run, "?wait=1")) as reader:
            await reader.event("execution")
            assert await reader.rest(3) == ""

    played(scene)


def test_a_run_that_is_deleted_ends_its_streams(run: Any, token: Any) -> None:
    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(WorkflowExecution.objects.all().delete)
            await aside(lambda: connection.cursor().execute("NOTIFY ledger_runs, %s", [str(run.pk)]))
            assert await reader.rest() == ""
        gone = await AsyncClient().get(address(run), headers={"Authorization": f"Token {token[1]}"})
        assert gone.status_code == 404

    played(scene)


def test_lines_are_told_where_nothing_notifies(run: Any, token: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "POLL_UNHEARD", 0.1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            for task in hub.here().tasks:
                task.cancel()
            hub.here().listener.is_listening = False
            await aside(log, run, "all the same")
            assert await reader.event("logs")

    played(scene)


@pytest.mark.parametrize(("pause", "row"), [(0.01, 1.0), (0.4, 0.3)], ids=["few readers", "a crowd, read slowly"])
def test_the_writers_of_a_busy_run_need_not_notify(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, pause: float, row: float
) -> None:
    monkeypatch.setattr(reading.Run, "pause", pause)
    monkeypatch.setattr(hub, "ROW", row)
    heard: list[Any] = []
    monkeypatch.setattr(
        hub.Hub, "_heard", lambda here, id: heard.append(id) or [t.wake.set() for t in here.topics.values()]
    )

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            for number in range(12):
                await aside(log, run, f"line {number}")
                assert [line["message"] for line in await reader.event("logs")] == [f"line {number}"]
        assert len([id for id in heard if id == run.pk]) < 8

    played(scene)


def test_a_server_reads_on_a_run_whose_writers_another_server_asked_to_be_quiet(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLL", 2.0)
    hush = "UPDATE execution_watches SET quiet_until = clock_timestamp() + interval '1 minute'"

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lambda: connection.cursor().execute(hush))
            for seconds in (10, 10, 1, 1):
                await aside(log, run, "unheard")
                async with asyncio.timeout(seconds):
                    assert await reader.event("logs")

    played(scene)


def test_the_listener_comes_back_after_its_connection_is_cut(run: Any, token: Any) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lambda: connection.cursor().execute(cut))
            await aside(log, run, "meanwhile")
            assert await reader.event("logs")
            for _ in range(100):
                if hub.here().listener.is_listening:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError

    played(scene)


def test_the_moves_of_runs_are_told_to_those_who_may_see_them(
    run: Any, token: Any, stranger: Any, teammate: Any
) -> None:
    secrets = {
        user.username: Token.objects.issue(user=user, name="x", scopes=[Scope.EXECUTIONS_READ])[1]
        for user in (stranger, teammate)
    }

    async def scene() -> None:
        url = "/api/v1/executions/stream/"
        async with opened(token[1], url) as own, opened(secrets["stranger"], url) as other:
            async with opened(secrets["teammate"], url) as all_of_them:
                for reader in (own, other, all_of_them):
                    await reader.next()
                    reader.waiting = asyncio.create_task(reader.event("execution"))
                await asyncio.sleep(0.3)
                await aside(run.complete)
                foreign = await aside(lambda: WorkflowExecutionFactory(workflow__owner=stranger))
                assert (await own.waiting)["id"] == str(run.pk)
                assert (await other.waiting)["id"] == str(foreign.pk)
                assert (await all_of_them.waiting)["id"] in {str(run.pk), str(foreign.pk)}

    played(scene)


def test_where_listening_is_in_vain_streams_poll_and_say_what_to_do(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "LISTEN", "SELECT 1")  # as a pooler has it that shares connections
    monkeypatch.setattr(waiting, "PROVED", 0.1)

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await asyncio.sleep(0.5)
            assert not hub.here().listener.is_listening
            await aside(log, run, "one")
            assert [line["message"] for line in await reader.event("logs")] == ["one"]

    played(scene)
    assert "DATABASE_LISTEN_URL" in caplog.text


def test_the_listener_goes_past_a_pooler_where_its_address_is_given(run: Any, token: Any, settings: Any) -> None:
    known = connection.settings_dict
    settings.DATABASE_LISTENER = {"NAME": known["NAME"], "HOST": known["HOST"], "USER": known["USER"], "PORT": ""}
    settings.DATABASE_LISTENER["OPTIONS"] = {"application_name": "past the pooler"}

    def listeners() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'past the pooler'")
            return int(cursor.fetchone()[0])

    async def scene() -> None:
        async with opened(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(until, lambda: listeners() == 1)

    played(scene)


def test_a_deletion_is_told_to_those_who_might_see_the_run(run: Any, token: Any, stranger: Any) -> None:
    other = Token.objects.issue(user=stranger, name="live", scopes=[Scope.EXECUTIONS_READ])
    foreign = WorkflowExecutionFactory(workflow__owner=stranger)

    async def scene() -> None:
        url = "/api/v1/executions/stream/"
        async with opened(token[1], url) as own, opened(other[1], url) as theirs:
            for reader in (own, theirs):
                await reader.next()
            await asyncio.sleep(0.3)
            await aside(run.delete)
            await aside(foreign.delete)
            assert await own.event("deleted") == {"id": str(run.pk)}
            assert await theirs.event("deleted") == {"id": str(foreign.pk)}

    played(scene)


def test_a_stream_that_a_middleware_threw_away_gives_its_place_back(run: Any, token: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.Clumsy", *settings.MIDDLEWARE]

    async def scene() -> None:
        said = {"Authorization": f"Token {token[1]}"}
        answer = await AsyncClient(raise_request_exception=False).get(address(run), headers=said)
        assert answer.status_code == 500
        await asyncio.to_thread(gc.collect)

    played(scene)  # which looks at the places


def test_staff_are_told_of_nodes_and_lines_as_their_lists_show_them(run: Any, newcomer: Any, client: Any) -> None:
    NodeExecutionFactory(workflow_execution=run)
    log(run, "not for them")
    newcomer.user_permissions.add(Permission.objects.get(codename="view_workflowexecution"))
    client.force_login(newcomer)
    told = client.get(address(run, "?wait=0")).content.decode()
    assert "event: execution" in told
    assert "event: node" not in told
    assert "event: logs" not in told


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("wait=x", "wait"),
        ("wait=3601", "wait"),
        ("from=then", "from"),
        ("last_event_id=x", "last_event_id"),
        ("a=b", "a"),
    ],
)
def test_bad_parameters_are_refused_by_name(run: Any, owner: Any, client: Any, query: str, name: str) -> None:
    client.force_login(owner)
    answer = client.get(address(run, f"?{query}"))
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["pointer"] == f"?{name}"


def test_what_is_not_a_stream_is_not_acceptable(run: Any, owner: Any, client: Any) -> None:
    client.force_login(owner)
    answer = client.get(address(run), headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Content-Type"]) == (406, "application/problem+json")


def test_a_server_that_cannot_hold_a_stream_open_answers_with_what_is_new(run: Any, owner: Any, client: Any) -> None:
    """Under WSGI, as this client is."""
    log(run, "one")
    client.force_login(owner)
    answer = client.get(address(run))
    assert answer.content.decode().count("event: logs") == 1
    assert answer.content.decode().endswith("event: poll\ndata: {}\n\n")
    assert "event: poll" not in client.get(address(run, "?wait=0")).content.decode()
    assert client.head(address(run)).content == b""
    last = [line[4:] for line in answer.content.decode().splitlines() if line.startswith("id: ")][-1]
    log(run, "two")
    again = client.get(address(run, f"?last_event_id={last}")).content.decode()
    assert ('"two"' in again, '"one"' in again) == (True, False)
