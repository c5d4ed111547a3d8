"""`manage.py serve`, as `make run` runs it: one process that prepares, serves and ends as one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError

from pastetrader.management.commands.serve import _address, _listen
from pastetrader.postgres.address import socket_dir
from pastetrader.tests.conftest import postmaster
from pastetrader.tests.prepared import manage
from pastetrader.tests.site import ROOT, Serve


@pytest.mark.usefixtures("ready")
def test_it_serves_the_admin_with_its_static_files_and_the_api(serve: Serve) -> None:
    site = serve()
    status, page = site.get("/")
    assert status == 200
    assert "Log in" in page
    style = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
    assert site.get(style)[0] == 200
    for address in ("/", "/nowhere/", "/admin/%00", "/api/v1/docs/"):
        icon = re.findall(r'rel="icon"[^>]*href="([^"]+)"', site.get(address)[1])[0]
        assert site.get(icon)[0] == 200, address
    assert site.get("/api/v1/executions/")[0] == 401
    _, err = site.interrupt(signal.SIGTERM)
    assert "Warning" not in err


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_server_and_database_without_a_traceback(
    serve: Serve, data_dir: Path, sent: signal.Signals
) -> None:
    code, err = serve().interrupt(sent)
    assert code in {0, 130}
    assert "Traceback" not in err
    assert postmaster(data_dir) is None


@pytest.mark.usefixtures("ready")
def test_the_password_is_shown_once_and_only_its_hash_is_kept(serve: Serve, data_dir: Path) -> None:
    first = serve()
    password = re.findall(r"password (\S+)", first.said)[0]
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        stored = connection.execute("SELECT username, password FROM auth_user").fetchall()
    assert [name for name, _ in stored] == ["admin"]
    assert password not in stored[0][1]

    first.interrupt(signal.SIGTERM)
    assert "password" not in serve().said


@pytest.mark.usefixtures("ready")
def test_a_name_that_is_taken_is_not_given_to_the_first_staff_user(serve: Serve, data_dir: Path) -> None:
    run("shell", "-c", "for name in ('admin', 'admin2'): User.objects.create_user(name)", local=data_dir.parent)
    site = serve()
    assert "Made the superuser admin3, password " in site.said
    assert "changepassword admin3" in site.said


@pytest.mark.usefixtures("ready")
def test_the_demo_ends_with_a_run_that_fails_and_the_site_is_served(serve: Serve, data_dir: Path) -> None:
    site = serve(demo=True)
    assert "GOOG leads with" in site.said
    assert "As meant, it failed: Market filter: ValueError: No stock has a history long enough" in site.said
    assert site.get("/admin/login/")[0] == 200
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        runs = connection.execute("SELECT status FROM workflow_executions ORDER BY id").fetchall()
    assert runs == [("completed",), ("failed",)]


def run(*arguments: str, local: Path) -> None:
    done = manage(*arguments, local=local)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("ready")
def test_after_kill_9_it_serves_again_and_nothing_acknowledged_is_missing(serve: Serve, data_dir: Path) -> None:
    first = serve()
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        connection.execute("CREATE TABLE acknowledged AS SELECT 42 AS answer")
    os.killpg(first.process.pid, signal.SIGKILL)

    second = serve()
    assert second.get("/admin/login/")[0] == 200
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        assert connection.execute("SELECT answer FROM acknowledged").fetchone() == (42,)
    second.interrupt(signal.SIGTERM)
    assert postmaster(data_dir) is None


def test_a_second_start_does_not_prepare_again_what_is_there(serve: Serve) -> None:
    assert "Static files are collected." in serve().said
    began = time.monotonic()
    assert "Static files are collected." not in serve().said
    assert time.monotonic() - began < 20


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
