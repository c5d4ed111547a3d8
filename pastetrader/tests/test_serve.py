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
from urllib.parse import urlsplit

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError
from django.http.request import validate_host

from local_postgres.socket_path import socket_dir
from pastetrader.listening_sockets import address_of, allow_address, listen
from pastetrader.management.commands.serve import Command
from pastetrader.tests.conftest import postmaster
from pastetrader.tests.live_server import ROOT, Serve, Site
from pastetrader.tests.prepared_folder import manage
from workflows.tests.factories import UserFactory


@pytest.mark.slow
def test_the_first_start_prepares_everything_and_a_killed_one_loses_nothing(serve: Serve, data_dir: Path) -> None:
    """Two servers for all of it, from nothing: each start takes seconds. The first runs the demo, which ends with a
    run that fails, and is killed; the second has every run. test_stop.py ends servers by SIGTERM."""
    first = serve(demo=True)
    assert "Static files are collected." in first.output
    shows_the_admin_with_its_static_files_and_the_api(first)
    password = re.findall(r"password (\S+)", first.output)[0]
    [(name, stored)] = query(data_dir, "SELECT username, password FROM auth_user")
    assert (name, password in stored) == ("admin", False)
    assert "GOOG leads with" in first.output
    assert "As meant, it failed: Market filter: ValueError: No stock has a history long enough" in first.output
    runs = "SELECT id, status FROM workflow_executions ORDER BY id"
    before = query(data_dir, runs)
    assert [status for _id, status in before] == ["completed", "failed"]
    os.killpg(first.process.pid, signal.SIGKILL)

    second = serve()
    assert "Static files are collected." not in second.output
    assert "password" not in second.output
    assert second.get("/admin/login/")[0] == 200
    assert query(data_dir, runs) == before
    ends_in_silence(second, data_dir)


def shows_the_admin_with_its_static_files_and_the_api(site: Site) -> None:
    status, page = site.get("/")
    assert status == 200
    assert "Log in" in page
    style = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
    assert site.get(style)[0] == 200
    assert site.get("/api/v1/executions/")[0] == 401


def ends_in_silence(site: Site, data_dir: Path) -> None:
    code, err = site.interrupt(signal.SIGINT)
    assert code in {0, 130}
    assert "Traceback" not in err
    assert "Warning" not in err
    assert postmaster(data_dir) is None


def query(data_dir: Path, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="pastetrader") as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.django_db
def test_a_name_that_is_taken_is_not_given_to_the_first_superuser(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("admin", "admin2"):
        UserFactory(username=name)
    command = Command()
    for _ in range(2):  # at the second start there is one
        command._make_first_user()
    output = capsys.readouterr().out
    assert output.count("Made the superuser admin3, password ") == 1
    assert "changepassword admin3" in output
    assert get_user_model().objects.get(is_superuser=True).username == "admin3"


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
        listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "names", "address"),
    [
        ("0.0.0.0", ["ledger.example", "127.0.0.1"], "http://ledger.example:"),
        ("0.0.0.0", ["*", ".example"], "http://0.0.0.0:"),
        ("127.0.0.2", ["ledger.example"], "http://127.0.0.2:"),
        ("::1", ["ledger.example"], "http://[::1]:"),
    ],
)
def test_the_address_that_is_printed_answers(settings: Any, host: str, names: list[str], address: str) -> None:
    settings.ALLOWED_HOSTS = names
    with listen(host, 0)[0] as listener:
        allow_address(listener)
        assert address_of(listener).startswith(address)
    name = urlsplit(address).netloc.removesuffix(":")
    assert validate_host(name, settings.ALLOWED_HOSTS)


def test_the_session_of_the_readme_works_when_pasted(site: Site) -> None:
    session = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[0]
    session = session.replace("http://127.0.0.1:8000", site.address).replace(".venv/bin/python", sys.executable)
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["bash", "-e"], input=session, cwd=ROOT, env=kept | {"PASTETRADER_LOCAL": str(site.local)},
        text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    output = [json.loads(line) for line in done.stdout.splitlines()]
    assert output[-1]["status"] == "completed"
    assert output[-1]["output_data"] == {"first": "GOOG"}
    refused = [answer for answer in output if isinstance(answer, dict) and answer.get("code")]
    assert [(answer["status"], answer["current_state"]) for answer in refused] == [(409, "running")]
