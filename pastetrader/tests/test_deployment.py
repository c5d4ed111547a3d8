"""A deployment by docs/operate.md: nginx with TLS and a prefix in front of the server, and a stock PostgreSQL."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psycopg
import pytest

from browser.pages import PAGES
from local_postgres import processes, system_user
from pastetrader.tests import stock_postgres
from pastetrader.tests.conftest import User, connect
from pastetrader.tests.deployed_site import (
    HOST,
    METRICS_TOKEN,
    PREFIX,
    DeployedSite,
    deployed_site,
    read_and_close,
    site_of_stripping_proxy,
)
from pastetrader.tests.live_server import ALL_SCOPES, ROOT
from pastetrader.tests.prepared_folder import new_home

SECRET = "correct-horse-battery"
ADDRESSES = {"href", "src", "action", "data-stream", "data-login"}
API = f"{PREFIX}/api/v1"


def program(name: str) -> str:
    """Return the path of a program of Debian. Skips without it, unless CI has to have installed it."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        assert not os.environ.get("CI"), f"{name} is missing"
        pytest.skip(f"there is no {name}")
    return found


@pytest.fixture(scope="module")
def site(prepared: Path) -> Iterator[DeployedSite]:
    nginx = program("nginx")
    program("openssl")
    with tempfile.TemporaryDirectory() as folder, deployed_site(nginx, prepared / "static", Path(folder)) as site:
        yield site


@pytest.fixture(scope="module")
def stripped(site: DeployedSite) -> Iterator[DeployedSite]:
    with site_of_stripping_proxy(program("nginx"), site) as stripped:
        yield stripped


@pytest.fixture(params=["site", pytest.param("stripped", marks=pytest.mark.slow)])
def each(request: pytest.FixtureRequest) -> DeployedSite:
    """The prefix is that of the setting, or the header of a proxy that takes it off the path."""
    found: DeployedSite = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def token(site: DeployedSite) -> dict[str, str]:
    return {"Authorization": f"Token {site.manage('create_token', 'admin', *ALL_SCOPES)}"}


class Links(HTMLParser):
    """The addresses that a page names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ADDRESSES and value}


def test_every_page_works_under_the_prefix(each: DeployedSite) -> None:
    home = each.ask("GET", f"{PREFIX}/", tls=False)
    assert (home.status, home.headers["Location"]) == (301, f"https://{HOST}{PREFIX}/")
    assert each.ask("GET", f"{PREFIX}/").headers["Location"] == f"{PREFIX}/admin/"
    login = each.ask("GET", f"{PREFIX}/admin/")
    assert login.headers["Location"] == f"{PREFIX}/admin/login/?next={PREFIX}/admin/"

    log_in(each)
    pages = [page.path for page in PAGES if "{" not in page.path and not page.action and page.signed_in]
    addresses: set[str] = set()
    for path in pages:
        shown = each.ask("GET", f"{PREFIX}{path}")
        assert shown.status == 200, path
        addresses |= Links(shown.body.decode()).found
    local = {address for address in addresses if address.startswith("/")}
    assert {address for address in local if not f"{address}/".startswith(f"{PREFIX}/")} == set()
    static = {address for address in local if "/static/" in address}
    assert static
    for address in static:
        assert each.ask("GET", address).headers["Cache-Control"] == "max-age=315360000, public, immutable", address


def test_the_prefix_is_that_of_the_setting_whatever_a_client_sends(site: DeployedSite) -> None:
    answer = site.ask("GET", f"{PREFIX}/", X_Forwarded_Prefix="/elsewhere")
    assert answer.headers["Location"] == f"{PREFIX}/admin/"


def log_in(site: DeployedSite) -> None:
    [(name, password)] = re.findall(r"superuser (\w+), password (\S+)", site.output)
    path = f"{PREFIX}/admin/login/?next={PREFIX}/admin/workflows/workflow/"
    connection = site.connect()
    connection.request("GET", path, headers={"Host": HOST})
    answer = read_and_close(connection, connection.getresponse())
    site.keep_cookies(answer.headers.get_all("Set-Cookie", []))
    answer = site.post_form(path, username=name, password=password)
    assert (answer.status, answer.headers["Location"]) == (302, f"{PREFIX}/admin/workflows/workflow/")


def test_addresses_of_the_api_have_the_prefix(each: DeployedSite, token: dict[str, str]) -> None:
    for _number in range(3):
        assert each.ask("POST", f"{API}/workflows/", {"name": f"flow {os.urandom(4).hex()}"}, **token).status == 201
    page = each.ask("GET", f"{API}/workflows/?page_size=2", **token).json
    assert page["next"].startswith(f"https://{HOST}{API}/workflows/?")
    schema = each.ask("GET", f"{API}/schema/", Accept="application/vnd.oai.openapi+json", **token).json
    assert schema["servers"] == [{"url": PREFIX}]
    unknown = each.ask("GET", f"{API}/nowhere/", **token)
    assert (unknown.status, unknown.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_stream_brings_each_event_at_once(each: DeployedSite, token: dict[str, str]) -> None:
    run = create_run(each, token)
    connection = each.connect()
    connection.request("GET", f"{API}/executions/{run}/stream/", headers={"Host": HOST, **token})
    response = connection.getresponse()
    assert response.status == 200
    assert "pending" in next_event(response)
    assert each.ask("POST", f"{API}/executions/{run}/start/", {}, **token).status == 200
    assert "running" in next_event(response), "nginx buffers the stream"
    response.close()
    connection.close()


def test_the_stream_of_a_page_links_below_the_prefix(each: DeployedSite, token: dict[str, str]) -> None:
    run = create_run(each, token)
    log_in(each)
    connection = each.connect()
    headers = {"Host": HOST, "Cookie": "; ".join(f"{name}={value}" for name, value in each.cookies.items())}
    address = f"{PREFIX}/admin/executions/workflowexecution/{run}/stream/?lines=rows"
    connection.request("GET", address, headers=headers)
    response = connection.getresponse()
    line = {"level": "info", "message": "a line"}
    assert each.ask("POST", f"{API}/executions/{run}/logs/", line, **token).status == 201
    lines = next_event(response, "logs")
    assert "a line" in lines
    assert f'href=\\"{PREFIX}/admin/executions/' in lines
    response.close()
    connection.close()


def create_run(site: DeployedSite, token: dict[str, str], **more: Any) -> str:
    flow = site.ask("POST", f"{API}/workflows/", {"name": f"flow {os.urandom(4).hex()}"}, **token).json
    body = {"workflow": flow["id"], "trigger_type": "event", **more}
    return str(site.ask("POST", f"{API}/executions/", body, **token).json["id"])


def next_event(response: Any, kind: str = "execution") -> str:
    """Return the data of the next event of a kind, by default about the run."""
    lines: list[str] = []
    while not any(line.startswith(f"event: {kind}") for line in lines):
        lines.clear()
        while (line := response.readline().decode().rstrip("\n")) or not lines:
            lines.append(line)
    return "\n".join(lines)


def test_probes_and_metrics(site: DeployedSite) -> None:
    assert site.ask("GET", f"{PREFIX}/healthz").json == {"status": "ok"}
    assert site.ask("GET", f"{PREFIX}/readyz").json["status"] == "ready"
    assert site.ask("GET", f"{PREFIX}/metrics").status == 401
    shown = site.ask("GET", f"{PREFIX}/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    assert b"pastetrader_runs" in shown.body
    with psycopg.connect(host=str(site.socket), user="postgres", dbname="ledger", autocommit=True) as session:
        session.execute("UPDATE django_migrations SET app = 'tokens-' WHERE app = 'tokens'")
        try:
            deadline = time.monotonic() + 30  # the server asks the database once a second
            while (ready := site.ask("GET", f"{PREFIX}/readyz")).status == 200 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            session.execute("UPDATE django_migrations SET app = 'tokens' WHERE app = 'tokens-'")
    assert ready.status == 503
    assert ready.json["checks"]["migrations"] == {"ok": False, "do": "Run `manage.py migrate`."}


def test_a_backup_is_restored_with_its_secrets(site: DeployedSite, token: dict[str, str]) -> None:
    """Run the commands of the document. The restored ledger knows the run's secret and still masks it."""
    run = create_run(site, token, context={"secrets": {"password": SECRET}})
    assert site.ask("POST", f"{API}/executions/{run}/start/", {}, **token).status == 200
    backup = str(site.folder / "backup")
    with psycopg.connect(host=str(site.socket), user="postgres", autocommit=True) as session:
        session.execute("CREATE ROLE plain LOGIN")  # as the role of the service, which is no superuser
        session.execute("CREATE DATABASE restored OWNER plain")
    run_commands("backup", site.environment | {"BACKUP": backup, "DATABASE": site.environment["DATABASE_URL"]})
    (site.folder / "restored").mkdir()
    restored = {
        "DATABASE_URL": f"postgresql://plain@/restored?host={site.socket}",
        "PASTETRADER_LOCAL": str(site.folder / "restored"),
    }
    run_commands("restore", site.environment | restored | {"BACKUP": backup, "DATABASE": restored["DATABASE_URL"]})
    code = f"""
from django.core.management import call_command
from executions.models import WorkflowExecution
run = WorkflowExecution.objects.get(pk="{run}")
run.complete(output_data={{"said": "it is {SECRET}"}})
run.refresh_from_db()
print(run.status, run.output_data)
call_command("check", databases=["default"])
"""
    shown = site.manage("shell", "--no-imports", "-c", code, **restored).splitlines()
    assert shown[0] == "completed {'said': 'it is ***masked***'}"
    assert shown[1].startswith("System check identified no issues")


def run_commands(name: str, environment: dict[str, str], folder: Path = ROOT) -> None:
    """Run the block of docs/operate.md that follows the comment with this name."""
    document = (ROOT / "docs" / "operate.md").read_text()
    [commands] = re.findall(rf"<!-- commands: {name} -->\n```sh\n(.+?)```", document, re.DOTALL)
    path = f"{stock_postgres.bin_dir()}:{ROOT / '.venv' / 'bin'}:{environment['PATH']}"
    shell = ["bash", "-euc", commands]
    done = subprocess.run(
        shell, cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


DOCKER = """#!/bin/sh
# What docs/operate.md uses of docker: programs in the container of the database run on this machine.
set -eu
case "$*" in
"compose exec -T database "*) shift 4; exec "$@" ;;
"compose up "* | "compose stop server") ;;
*) echo "not known: $*" >&2; exit 64 ;;
esac
"""


def test_a_backup_of_containers_is_restored(site: DeployedSite, token: dict[str, str], tmp_path: Path) -> None:
    """Run the commands of the document, first to fill the database of the containers."""
    run = create_run(site, token)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / ".env").write_text("SECRET_KEY=kept\n")
    first, second = ({"BACKUP": str(tmp_path / name)} for name in ("first", "second"))
    with psycopg.connect(host=str(site.socket), user="postgres", autocommit=True) as session:
        session.execute("CREATE ROLE pastetrader SUPERUSER LOGIN")
    environment = site.environment | {"PGHOST": str(site.socket), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run_commands("backup", environment | first | {"DATABASE": environment["DATABASE_URL"]})
    run_commands("restore of containers", environment | first, tmp_path)
    run_commands("backup of containers", environment | second, tmp_path)
    run_commands("restore of containers", environment | second, tmp_path)
    with psycopg.connect(host=str(site.socket), user="pastetrader", dbname="pastetrader") as session:
        found = session.execute("SELECT status FROM workflow_executions WHERE id = %s", [run]).fetchall()
    assert found == [("pending",)]
    assert (tmp_path / "second" / ".env").read_text() == "SECRET_KEY=kept\n"


def test_the_server_ends_in_time_with_a_stream_open_and_its_log_is_json(
    site: DeployedSite, token: dict[str, str]
) -> None:
    """Last: it ends the site."""
    run = create_run(site, token)
    connection = site.connect()
    connection.request("GET", f"{API}/executions/{run}/stream/", headers={"Host": HOST, **token})
    response = connection.getresponse()
    next_event(response)
    site.ask("GET", f"{PREFIX}/nowhere/", X_Request_ID="ignored: nginx makes its own")
    code, seconds, log = site.stop()
    assert code == 0
    assert seconds < 5
    assert site.output.endswith("Stopped.\n")
    read_and_close(connection, response)  # the stream has ended
    [line] = [line for line in log if line["message"] == "Not Found: /ledger/***masked***/"]
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])


def test_a_base_backup_of_the_embedded_database_starts(ready: None, data_dir: Path, use: Any) -> None:
    """Run the commands of the document while the database runs."""
    use().arrive()
    with connect(data_dir) as session:
        session.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with new_home() as backup:
        run_commands("base backup", os.environ | {"PASTETRADER_LOCAL": str(data_dir.parent), "BACKUP": str(backup)})
        if system_user.is_needed():
            subprocess.run(["chown", "-R", system_user.NAME, backup / "postgres"], check=True)
        user = User(backup / "postgres", durable=False, apart=False, patience=processes.PATIENCE).arrive()
        with connect(backup / "postgres") as session:
            assert session.execute("SELECT number FROM kept").fetchall() == [(7,)]
        user.leave()
        assert (backup / "secret_key").read_text() == (data_dir.parent / "secret_key").read_text()
