"""`manage.py serve`, as `make run` runs it: one process that prepares, serves and ends as one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from django.core.management import CommandError

from local_postgres.socket_path import socket_dir
from pastetrader.management.commands.serve import _address, _listen
from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import ROOT, Serve, Site
from pastetrader.tests.prepared import manage


def test_a_first_start_prepares_everything_and_a_second_one_only_serves(serve: Serve, data_dir: Path) -> None:
    """Two servers for all of it, from nothing: each start takes seconds."""
    first = serve()
    assert "Static files are collected." in first.said
    shows_the_admin_with_its_static_files_and_the_api(first)
    password = re.findall(r"password (\S+)", first.said)[0]
    [(name, stored)] = query(data_dir, "SELECT username, password FROM auth_user")
    assert (name, password in stored) == ("admin", False)
    ends_in_silence(first, signal.SIGTERM, data_dir)

    second = serve()
    assert "Static files are collected." not in second.said
    assert "password" not in second.said
    ends_in_silence(second, signal.SIGINT, data_dir)


def shows_the_admin_with_its_static_files_and_the_api(site: Site) -> None:
    status, page = site.get("/")
    assert status == 200
    assert "Log in" in page
    style = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
    assert site.get(style)[0] == 200
    assert site.get("/api/v1/executions/")[0] == 401


def ends_in_silence(site: Site, sent: signal.Signals, data_dir: Path) -> None:
    code, err = site.interrupt(sent)
    assert code in {0, 130}
    assert "Traceback" not in err
    assert "Warning" not in err
    assert postmaster(data_dir) is None


def query(data_dir: Path, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.usefixtures("ready")
def test_a_taken_name_the_demo_and_kill_9(serve: Serve, data_dir: Path) -> None:
    """One ledger for all of it: a name that is taken is not given to the first staff user, the demo ends with a run
    that fails, and after kill -9 nothing acknowledged is missing."""
    run("shell", "-c", "for name in ('admin', 'admin2'): User.objects.create_user(name)", local=data_dir.parent)
    site = serve(demo=True)
    assert "Made the superuser admin3, password " in site.said
    assert "changepassword admin3" in site.said
    assert "GOOG leads with" in site.said
    assert "As meant, it failed: Market filter: ValueError: No stock has a history long enough" in site.said
    assert site.get("/admin/login/")[0] == 200
    runs = "SELECT id, status FROM workflow_executions ORDER BY id"
    before = query(data_dir, runs)
    assert [status for _id, status in before] == ["completed", "failed"]
    os.killpg(site.process.pid, signal.SIGKILL)

    again = serve()
    assert again.get("/admin/login/")[0] == 200
    assert query(data_dir, runs) == before
    again.interrupt(signal.SIGTERM)
    assert postmaster(data_dir) is None


def run(*arguments: str, local: Path) -> None:
    done = manage(*arguments, local=local)
    assert done.returncode == 0, done.stderr


def test_a_taken_port_is_one_sentence_before_anything_is_done(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = manage("serve", "--port", str(taken.getsockname()[1]), local=data_dir.parent)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "make run PORT=" in done.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(CommandError, match=f"There is no port {port}"):
        _listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "names", "address"),
    [
        ("0.0.0.0", ["ledger.example", "127.0.0.1"], "http://ledger.example:"),
        ("0.0.0.0", ["*", ".example"], "http://0.0.0.0:"),
        ("127.0.0.1", ["ledger.example"], "http://127.0.0.1:"),
    ],
)
def test_the_address_that_is_printed_answers(settings: Any, host: str, names: list[str], address: str) -> None:
    settings.ALLOWED_HOSTS = names
    with _listen(host, 0) as listener:
        assert _address(listener).startswith(address)


@pytest.mark.usefixtures("ready")
def test_the_session_of_the_readme_works_when_pasted(serve: Serve, data_dir: Path) -> None:
    site = serve()
    session = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    session = session.replace("http://127.0.0.1:8000", site.address).replace(".venv/bin/python", sys.executable)
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["bash", "-e"], input=session, cwd=ROOT, env=kept | {"PASTETRADER_LOCAL": str(data_dir.parent)},
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[-1]["status"] == "completed"
    assert said[-1]["output_data"] == {"first": "GOOG"}
    refused = [answer for answer in said if isinstance(answer, dict) and answer.get("code")]
    assert [(answer["status"], answer["current_state"]) for answer in refused] == [(409, "running")]
