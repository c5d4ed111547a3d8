"""Errors of commands: a sentence that says what to do, never a traceback."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, OperationalError, ProgrammingError, connection

from local_postgres import system_user
from pastetrader.command_errors import sentence, unreachable
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.prepared_folder import manage

NOWHERE = "postgresql://someone:hunter2pw@127.0.0.1:1/ledger"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, or needs an account for PostgreSQL")


def error_of(*arguments: str, local: Path, **environment: str) -> str:
    done = manage(*arguments, local=local, **environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_a_database_that_does_not_answer(data_dir: Path) -> None:
    said = error_of("serve", "--port", "0", local=data_dir.parent, DATABASE_URL=NOWHERE)
    assert "The database that DATABASE_URL names cannot be reached: " in said
    assert "port 1 failed: Connection refused" in said
    assert said.endswith("accepting TCP/IP connections. Start it, or correct DATABASE_URL.\n")
    assert "hunter2pw" not in said


def test_a_python_without_django(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "manage.py", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(" has no Django: `make setup` installs it, then call .venv/bin/python manage.py.\n")
    assert len(done.stderr.splitlines()) == 1


OLD = "import runpy, sys; sys.version_info = (3, 11, 9); runpy.run_path('manage.py', run_name='__main__')"


def test_an_old_python() -> None:
    done = subprocess.run([sys.executable, "-c", OLD], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(" is too old: Python 3.12 or newer is needed. Call .venv/bin/python manage.py.\n")
    assert len(done.stderr.splitlines()) == 1


def test_any_other_command_names_the_reason_too(data_dir: Path) -> None:
    done = manage("upkeep", local=data_dir.parent, DATABASE_URL=NOWHERE, DATABASE_POOL_TIMEOUT="5")
    assert "Traceback" not in done.stderr
    assert "Connection refused" in done.stderr.splitlines()[-1]


def test_a_traceback_is_shown_to_who_asks_for_it(data_dir: Path) -> None:
    options = {"DATABASE_URL": NOWHERE, "DATABASE_POOL_TIMEOUT": "1"}
    assert "Traceback" in manage("upkeep", "--traceback", local=data_dir.parent, **options).stderr


def test_an_address_that_is_none_of_this_machines(data_dir: Path) -> None:
    said = error_of("serve", "--host", "nowhere.invalid", "--port", "0", local=data_dir.parent)
    assert "nowhere.invalid is not an address of this machine" in said


FULL = 'mount -t tmpfs -o size=400k tmpfs "$1" && PASTETRADER_LOCAL="$1/local" exec "$2" manage.py serve --port 0'


@AS_ROOT
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare(1)")
def test_a_full_disk(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare is not permitted here")
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, "sh", str(tmp_path), sys.executable], cwd=ROOT, env=kept,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "The disk is full: " in done.stderr.splitlines()[-1]


@AS_ROOT
def test_useradd_is_found_without_the_folders_of_administrators_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which("useradd")
    monkeypatch.setenv("PATH", "/nowhere")
    assert found
    assert Path(system_user._useradd()).resolve() == Path(found).resolve()


def test_without_useradd_the_account_to_make_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_user, "NAME", "no_such_account")
    monkeypatch.setattr(system_user, "_useradd", lambda: "/nowhere/useradd")
    with pytest.raises(OperationalError) as refusal:
        system_user._entry()
    assert "Make a system account no_such_account, or work as an ordinary user." in sentence(refusal.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImproperlyConfigured("X is wrong."), "X is wrong."),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "The disk is full: /data/x cannot be written."),
        (OSError(errno.EACCES, "Permission denied", "/data/x"), "/data/x may not be written (Permission denied)."),
        (OSError(errno.EBADF, "Bad file descriptor"), ""),
        (ValueError("of the program itself"), ""),
    ],
)
def test_of_each_kind_of_error(error: Exception, said: str) -> None:
    assert sentence(error).startswith(said)
    assert bool(sentence(error)) is bool(said)
    assert sentence(error, "shell") == ""


AS_ANOTHER_ROLE = """
CREATE ROLE ledger_sentence;
GRANT ledger_sentence TO CURRENT_USER;
SET LOCAL ROLE ledger_sentence;
SELECT ledger_noted(now(), '')
"""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        (
            "SET LOCAL statement_timeout = 10; SELECT pg_sleep(9)",
            OperationalError,
            "A statement took longer than DATABASE_STATEMENT_TIMEOUT_MS",
        ),
        ("SELECT * FROM no_such_table", ProgrammingError, "The database has no tables of the ledger yet"),
        (
            AS_ANOTHER_ROLE,
            ProgrammingError,
            "The database refuses its role something: permission denied for function ledger_noted. docs/security.md",
        ),
        ("SELECT 1/0 AS wrong", DataError, ""),
    ],
)
def test_of_the_database(statement: str, kind: Any, said: str) -> None:
    with connection.cursor() as cursor:
        with pytest.raises(kind) as caught:
            cursor.execute(statement)
    assert sentence(caught.value).startswith(said)
    assert bool(sentence(caught.value)) is bool(said)


@pytest.mark.django_db
def test_a_database_that_can_be_reached_has_no_fault() -> None:
    assert unreachable() == ""
