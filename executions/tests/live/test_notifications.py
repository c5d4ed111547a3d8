"""Notifications of streams: writers, listeners, receivers, and servers that cannot hold a stream open."""

import asyncio
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from executions.live import listener as waiting
from executions.live import reader as reading
from executions.live import topics
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from executions.tests.live.stream_client import address, aside, log, open_stream, run_scene, until
from tokens.models import Scope, Token

pytestmark = pytest.mark.django_db(transaction=True)


def test_lines_are_told_where_nothing_notifies(run: Any, token: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "POLL_NOT_LISTENING", 0.1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            for task in topics.get_registry().tasks:
                task.cancel()
            topics.get_registry().listener.is_listening = False
            await aside(log, run, "all the same")
            assert await reader.event("logs")

    run_scene(scene)


@pytest.mark.slow
@pytest.mark.parametrize(("pause", "row"), [(0.01, 1.0), (0.4, 0.3)], ids=["few readers", "a crowd, read slowly"])
def test_the_writers_of_a_busy_run_need_not_notify(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, pause: float, row: float
) -> None:
    monkeypatch.setattr(reading.RunReader, "pause", pause)
    monkeypatch.setattr(topics, "BUSY_GAP", row)
    heard: list[Any] = []
    monkeypatch.setattr(
        topics.TopicRegistry,
        "_on_notification",
        lambda here, id: heard.append(id) or [t.wake.set() for t in here.topics.values()],
    )

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            for number in range(12):
                await aside(log, run, f"line {number}")
                assert [line["message"] for line in await reader.event("logs")] == [f"line {number}"]
        assert len([id for id in heard if id == run.pk]) < 8

    run_scene(scene)


@pytest.mark.slow
def test_a_server_reads_on_a_run_whose_writers_another_server_asked_to_be_quiet(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "POLL", 0.3)
    monkeypatch.setattr(topics, "BUSY_MARGIN", 30.0)
    hush = "UPDATE execution_watches SET quiet_until = clock_timestamp() + interval '1 minute'"

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lambda: connection.cursor().execute(hush))
            for number in range(5):
                await aside(log, run, "unheard")
                assert await reader.event("logs")
                if number == 2:  # the next wait of a server that polls would be longer than the test
                    monkeypatch.setattr(topics, "POLL", 60.0)

    run_scene(scene)


def test_the_listener_comes_back_after_its_connection_is_cut(run: Any, token: Any) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"  # other processes have theirs
    )

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(lambda: connection.cursor().execute(cut))
            await aside(log, run, "meanwhile")
            assert await reader.event("logs")
            for _ in range(600):
                if topics.get_registry().listener.is_listening:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError

    run_scene(scene)


@pytest.mark.slow
def test_the_moves_of_runs_are_told_to_those_who_may_see_them(
    run: Any, token: Any, stranger: Any, teammate: Any
) -> None:
    secrets = {
        user.username: Token.objects.issue(user=user, name="x", scopes=[Scope.EXECUTIONS_READ])[1]
        for user in (stranger, teammate)
    }

    async def scene() -> None:
        url = "/api/v1/executions/stream/"
        async with open_stream(token[1], url) as own, open_stream(secrets["stranger"], url) as other:
            async with open_stream(secrets["teammate"], url) as all_of_them:
                for reader in (own, other, all_of_them):
                    await reader.next()
                    reader.waiting = asyncio.create_task(reader.event("execution"))
                await asyncio.sleep(0.3)
                await aside(run.complete)
                foreign = await aside(lambda: WorkflowExecutionFactory(workflow__owner=stranger))
                assert (await own.waiting)["id"] == str(run.pk)
                assert (await other.waiting)["id"] == str(foreign.pk)
                assert (await all_of_them.waiting)["id"] in {str(run.pk), str(foreign.pk)}

    run_scene(scene)


@pytest.mark.slow
def test_where_listening_is_in_vain_streams_poll_and_say_what_to_do(
    run: Any, token: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "LISTEN", "SELECT 1")  # as a pooler has it that shares connections
    monkeypatch.setattr(waiting, "DELIVERY_TIMEOUT", 0.1)

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(until, lambda: "LISTENER_DATABASE" in caplog.text)
            assert not topics.get_registry().listener.is_listening
            await aside(log, run, "one")
            assert [line["message"] for line in await reader.event("logs")] == ["one"]

    run_scene(scene)


def test_the_listener_goes_past_a_pooler_where_its_address_is_given(run: Any, token: Any, settings: Any) -> None:
    known = connection.settings_dict
    direct = {"NAME": known["NAME"], "HOST": known["HOST"], "USER": known["USER"], "PORT": ""}
    direct["OPTIONS"] = {"application_name": "past the pooler"}
    settings.EXECUTIONS = settings.EXECUTIONS | {"LISTENER_DATABASE": direct}

    def listeners() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'past the pooler'")
            return int(cursor.fetchone()[0])

    async def scene() -> None:
        async with open_stream(token[1], address(run)) as reader:
            await reader.event("execution")
            await aside(until, lambda: listeners() == 1)
            listener = topics.get_registry().listener
            await aside(until, lambda: listener.is_listening)  # it is not left in the middle of its connecting

    run_scene(scene)


def test_a_listener_that_is_cancelled_twice_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once by the last reader who leaves, and again by the end of the event loop."""
    opened: list[psycopg.AsyncConnection] = []
    connect = psycopg.AsyncConnection.connect

    async def note(**parameters: Any) -> psycopg.AsyncConnection:
        opened.append(await connect(**parameters))
        return opened[-1]

    async def scene() -> None:
        listener = waiting.Listener(lambda _id: None)
        task = asyncio.create_task(listener.run())
        await aside(until, lambda: listener.is_listening)
        task.cancel()
        async with opened[0].lock:  # as a generator of notifications holds it until the loop has closed it
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", note)
    run_scene(scene)
    assert [each.closed for each in opened] == [True]


@pytest.mark.slow
def test_a_deletion_is_told_to_those_who_might_see_the_run(run: Any, token: Any, stranger: Any) -> None:
    other = Token.objects.issue(user=stranger, name="live", scopes=[Scope.EXECUTIONS_READ])
    foreign = WorkflowExecutionFactory(workflow__owner=stranger)

    async def scene() -> None:
        url = "/api/v1/executions/stream/"
        async with open_stream(token[1], url) as own, open_stream(other[1], url) as theirs:
            for reader in (own, theirs):
                await reader.next()
            await asyncio.sleep(0.3)
            await aside(run.delete)
            await aside(foreign.delete)
            assert await own.event("deleted") == {"id": str(run.pk)}
            assert await theirs.event("deleted") == {"id": str(foreign.pk)}

    run_scene(scene)


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
