"""What a command starts, and what it does not."""

from pathlib import Path

import pytest

from pastetrader.tests.conftest import manage, postmaster


@pytest.mark.parametrize("arguments", [("check",), ("--help",), ("migrate", "--help"), ("dbshell", "--help")])
def test_check_and_help_start_nothing(data_dir: Path, arguments: tuple[str, ...]) -> None:
    done = manage(*arguments, local=data_dir.parent)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in data_dir.parent.iterdir()} <= {"secret_key"}


def test_dbshell_starts_the_server_and_stops_it(data_dir: Path) -> None:
    done = manage("dbshell", "--", "-Atc", "SELECT current_database()", local=data_dir.parent)
    assert done.stdout == "pastetrader\n", done.stderr
    assert postmaster(data_dir) is None


def test_migrate_has_no_time_limit_and_others_have(data_dir: Path) -> None:
    local = data_dir.parent
    slow = "from django.db import connection as c; c.cursor().execute('SELECT pg_sleep(0.5)')"
    limited = manage("shell", "-c", slow, local=local, DATABASE_STATEMENT_TIMEOUT_MS="200")
    assert "canceling statement due to statement timeout" in limited.stderr
    assert manage("migrate", local=local, DATABASE_STATEMENT_TIMEOUT_MS="1").returncode == 0


def test_production_settings_pass_djangos_own_check(data_dir: Path) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", local=data_dir.parent, PASTETRADER_HTTPS="1")
    assert done.returncode == 0, done.stderr


def test_the_test_command_is_pytest_and_returns_its_exit_code(data_dir: Path) -> None:
    suite = "pastetrader/tests/test_environment.py"
    assert " passed" in manage("test", suite, local=data_dir.parent).stdout
    nothing = manage("test", suite, "-k", "no_such_test", local=data_dir.parent)
    assert nothing.returncode == 5


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


def test_a_request_that_gets_no_connection_in_time_is_told_to_come_back(data_dir: Path) -> None:
    pool = {"DATABASE_POOL_MAX": "1", "DATABASE_POOL_TIMEOUT": "1"}
    done = manage("shell", "--no-imports", "-c", BUSY, local=data_dir.parent, **pool)
    assert done.stdout == "503 5\n", done.stderr
