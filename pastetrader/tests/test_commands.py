"""Commands, and whether they start the database server."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands.migrate import Command as Migrate
from django.db import connection

from pastetrader.tests.conftest import postmaster
from pastetrader.tests.prepared_folder import manage

EACH = """
import gc
from contextlib import suppress
from django.core.management import execute_from_command_line
for arguments in ["check"], ["--help"], ["migrate", "--help"], ["dbshell", "--help"]:
    with suppress(SystemExit):
        execute_from_command_line(["manage.py", *arguments])
    print("ended", *arguments)
if gc.isenabled():
    print("garbage is searched for")
"""


def test_check_and_help_start_nothing(data_dir: Path) -> None:
    """All in one process, because each takes a second to start."""
    done = manage("shell", "--no-imports", "-c", EACH, local=data_dir.parent)
    assert done.stdout.count("ended ") == 4, done.stderr
    assert "no issues" in done.stdout
    assert "garbage is searched for" in done.stdout  # again: not while the modules are loaded
    assert {path.name for path in data_dir.parent.iterdir()} <= {"secret_key", "secrets_key"}


@pytest.mark.usefixtures("ready")
def test_dbshell_starts_the_server_and_stops_it(data_dir: Path) -> None:
    done = manage("dbshell", "--", "-Atc", "SELECT current_database()", local=data_dir.parent)
    assert done.stdout == "pastetrader\n", done.stderr
    assert postmaster(data_dir) is None


@pytest.mark.usefixtures("ready")
def test_a_statement_has_a_time_limit(data_dir: Path) -> None:
    slow = "from django.db import connection as c; c.cursor().execute('SELECT pg_sleep(30)')"
    limited = manage("shell", "-c", slow, local=data_dir.parent, DATABASE_STATEMENT_TIMEOUT_MS="500")
    assert "canceling statement due to statement timeout" in limited.stderr


@pytest.mark.django_db
def test_migrate_lifts_the_time_limit_and_puts_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    monkeypatch.setattr(Migrate, "handle", lambda *_, **__: limits.append(limit()))
    before = limit()
    call_command("migrate")
    assert (before, limits, limit()) == ("30s", ["0"], "30s")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("command", "step"),
    [
        ("upkeep", "executions.partitions.make_ahead"),
        ("purge_secrets", "executions.secrets.retention.purge"),
        ("seed_ledger", "pastetrader.demo.management.commands.seed_ledger.check_ledger_is_generated"),
    ],
)
def test_a_command_that_works_on_the_whole_ledger_has_no_time_limit(
    command: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def stop(**_: Any) -> None:
        limits.append(limit())
        raise CommandError("That is enough.")

    monkeypatch.setattr(step, stop)
    with pytest.raises(CommandError, match="enough"):
        call_command(command)
    assert (limits, limit()) == (["0"], "30s")


def limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_production_settings_pass_djangos_own_check(data_dir: Path) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", local=data_dir.parent, PASTETRADER_HTTPS="1")
    assert done.returncode == 0, done.stderr


def test_the_test_command_is_pytest_and_returns_its_exit_code(data_dir: Path) -> None:
    suite = "pastetrader/tests/test_charset.py"
    nothing = manage("test", suite, "-k", "no_such_test", local=data_dir.parent)
    assert (nothing.returncode, " deselected" in nothing.stdout) == (5, True)


BUSY = """
import threading
from django.db import connection
from django.test import Client
connection.ensure_connection()  # the pool's only one
client = Client(raise_request_exception=False)
client.cookies["pastetrader_session"] = "a" * 32
def get():
    response = client.get("/admin/", headers={"Host": "localhost"})
    print(response.status_code, response.get("Retry-After"))
thread = threading.Thread(target=get)
thread.start()
thread.join()
"""


@pytest.mark.usefixtures("ready")
def test_a_request_that_gets_no_connection_in_time_is_told_to_come_back(data_dir: Path) -> None:
    pool = {"DATABASE_POOL_MAX": "1", "DATABASE_POOL_TIMEOUT": "1"}
    done = manage("shell", "--no-imports", "-c", BUSY, local=data_dir.parent, **pool)
    assert done.stdout == "503 5\n", done.stderr
