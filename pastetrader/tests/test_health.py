"""Probes of an orchestrator: `/healthz` and `/readyz`."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from executions import partitions
from executions.models import UpkeepRun
from executions.upkeep import last_upkeep
from pastetrader import readiness as checks
from pastetrader.readiness import readiness
from pastetrader.tests.test_env import read_settings
from pastetrader.threaded_handler import ThreadedHandler


@pytest.fixture(autouse=True)
def unchecked() -> None:
    readiness.forget()


@pytest.fixture
def upkeep(db: None) -> UpkeepRun:
    now = timezone.now()
    return UpkeepRun.objects.create(host="here", started_at=now, ended_at=now)


def ready(client: Client, query: str = "", **headers: Any) -> tuple[int, dict[str, Any]]:
    readiness.forget()
    response = client.get(f"/readyz{query}", **headers)
    return response.status_code, response.json()


def failed(answer: dict[str, Any]) -> dict[str, str]:
    return {name: each["do"] for name, each in answer["checks"].items() if not each["ok"]}


def test_health_asks_no_database(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["Cache-Control"] == "no-store"
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_a_server_is_ready_if_its_database_is_migrated_prepared_and_kept_up(client: Client, upkeep: UpkeepRun) -> None:
    names = ["database", "migrations", "partitions", "upkeep"]
    expected = {"status": "ready", "checks": {name: {"ok": True} for name in names}}
    assert ready(client) == (200, expected)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.django_db
def test_a_probe_may_name_any_host_and_is_not_sent_to_https(path: str, client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["ledger.example"]
    settings.METRICS_TOKEN = ""
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code in {200, 404, 503}
    for other in ("/admin/login/", "/admin/metrics", f"/other{path}"):
        assert client.get(other, headers={"Host": "ledger.example"}).status_code == 301


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.django_db
def test_a_probe_below_a_prefix_that_a_proxy_names_is_not_sent_to_https(
    path: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASTETRADER_HTTPS", "1")
    for prefix, named in (("/led.ger", ""), ("", "1")):
        monkeypatch.setenv("FORCE_SCRIPT_NAME", prefix)
        monkeypatch.setenv("PASTETRADER_FORWARDED_PREFIX", named)
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_REDIRECT_EXEMPT = read_settings().SECURE_REDIRECT_EXEMPT
        client = Client()
        for probe in (path, f"/led.ger{path}", *([f"/my/led.ger{path}"] if named else [])):
            assert client.get(probe).status_code != 301
        for other in (f"{path}/", f"/led.ger{path}x", "/led.ger/admin/", *([] if named else [f"/ledxger{path}"])):
            assert client.get(other).status_code == 301, other


def test_a_migration_that_is_missing_makes_it_unready(client: Client, upkeep: UpkeepRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tokens'")
    status, answer = ready(client)
    assert (status, answer["status"]) == (503, "not ready")
    assert failed(answer) == {"migrations": "Run `manage.py migrate`."}


def test_a_database_that_is_ahead_of_it_leaves_it_ready(client: Client, upkeep: UpkeepRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('tokens', '9999_later', now())")
    assert ready(client)[0] == 200


def test_missing_partitions_make_it_unready(client: Client, upkeep: UpkeepRun, monkeypatch: Any) -> None:
    monkeypatch.setattr(partitions, "existing", lambda: partitions.plan()[:1])
    assert failed(ready(client)[1]).keys() == {"partitions"}


def test_late_upkeep_makes_it_unready_unless_it_is_excluded(client: Client, upkeep: UpkeepRun) -> None:
    UpkeepRun.objects.update(ended_at=timezone.now() - timedelta(hours=2))
    status, answer = ready(client)
    assert (status, failed(answer)) == (503, {"upkeep": last_upkeep.DO})
    status, answer = ready(client, "?exclude=upkeep")
    assert (status, "upkeep" in answer["checks"]) == (200, False)


def test_an_unreachable_database_makes_it_unready_and_no_stranger_learns_why(client: Client, monkeypatch: Any) -> None:
    """Not marked for the database: this test may not use it, as if there were none."""

    def refuse(_milliseconds: int) -> None:
        raise checks.Error("connection to 10.0.0.7, PostgreSQL 15.3, user ledger failed")

    monkeypatch.setattr(checks, "statement_timeout", refuse)
    status, answer = ready(client)
    assert status == 503
    assert failed(answer).keys() == {"database", "migrations", "partitions", "upkeep"}
    assert not any(word in str(answer) for word in ("10.0.0.7", "15.3", "user ledger"))


def test_the_database_is_asked_once_a_second(client: Client, upkeep: UpkeepRun, django_assert_num_queries: Any) -> None:
    client.get("/readyz")
    with django_assert_num_queries(0):
        for _ in range(20):
            assert client.get("/readyz").status_code == 200


def test_who_asks_while_the_checks_are_made_gets_the_last_answer(client: Client, upkeep: UpkeepRun) -> None:
    assert client.get("/readyz").status_code == 200
    readiness.checked_at = 0.0
    with readiness.lock:
        assert client.get("/readyz").status_code == 200


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Return a function that lets a thread make the checks on a database that hangs: no statement ends."""
    begun, free = threading.Event(), threading.Event()
    thread = threading.Thread(target=readiness.failed_checks)

    def wait(_check: checks.Check) -> bool:
        begun.set()
        return free.wait()

    def start() -> None:
        monkeypatch.setattr(checks, "_passes", wait)
        thread.start()
        begun.wait()

    yield start
    free.set()
    thread.join()


def test_a_check_that_does_not_end_has_failed(
    client: Client, upkeep: UpkeepRun, hang: Callable[[], None], monkeypatch: Any
) -> None:
    assert client.get("/readyz").status_code == 200
    readiness.checked_at = 0.0
    hang()
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(checks, "PATIENCE", 0.0)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert failed(answer.json()).keys() == {"database"}


def test_a_server_that_was_never_ready_says_so_while_its_first_check_hangs(
    client: Client, hang: Callable[[], None], monkeypatch: Any
) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.1)
    hang()
    answer = client.get("/readyz")
    assert (answer.status_code, failed(answer.json()).keys()) == (503, {"database"})


def test_health_needs_no_thread(settings: Any) -> None:
    """All of them may wait for the database, and no orchestrator must kill the process for that."""
    settings.FORCE_SCRIPT_NAME = "/ledger"
    handler, free, sent = ThreadedHandler(), threading.Event(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def play() -> None:
        waiting = [asyncio.ensure_future(handler.small.call(free.wait)) for _ in range(handler.small.most)]
        await asyncio.sleep(0)
        scope = {"type": "http", "method": "GET", "path": "/ledger/healthz", "headers": [], "query_string": b""}
        await asyncio.wait_for(handler(scope, None, send), 10)
        assert len(handler.small.under_way) == len(waiting)
        free.set()
        await asyncio.gather(*waiting)

    asyncio.run(play())
    assert not handler.stop()
    assert sent[0]["status"] == 200
