"""The wheel of the apps in a new project, as docs/install.md describes it: another user model, Django's own backend."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from pastetrader.tests import fresh_project, stock_postgres
from pastetrader.tests.fresh_project import FreshProject
from pastetrader.tests.live_server import ROOT
from pastetrader.translations import APPS

JOURNEY = Path(__file__).with_name("host_journey.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_project.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshProject]:
    with stock_postgres.server() as socket:
        made = FreshProject(tmp_path_factory.mktemp("fresh"), wheel)
        made.start(socket)
        yield made


def test_the_wheel_has_every_file_of_the_apps_but_their_tests(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", *APPS], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in tracked.stdout.splitlines() if "/tests/" not in name and (ROOT / name).exists()}
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_the_wheel_of_the_reporter_has_its_modules_and_needs_httpx_alone(tmp_path: Path) -> None:
    source = shutil.copytree(ROOT / "pastetrader_client", tmp_path / "source", ignore=shutil.ignore_patterns("__py*"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("pastetrader_client-*.whl")
    with ZipFile(wheel) as archive:
        packed = {Path(name) for name in archive.namelist()}
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    modules = {Path("pastetrader_client", path.name) for path in source.glob("*.py")}
    assert {path for path in packed if path.parts[0] == "pastetrader_client"} == {
        *modules, Path("pastetrader_client", "py.typed"),
    }  # fmt: skip
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [Requirement(line.partition(": ")[2]).name for line in needed] == ["httpx"]


@pytest.mark.slow
def test_a_new_project_installs_and_uses_the_apps(project: FreshProject) -> None:
    migrate, superuser, token = (shlex.split(line)[2:] for line in fresh_project.COMMANDS.splitlines())
    project.manage(*migrate)
    project.manage(*superuser, "--noinput")
    secret = project.manage(*token).split()[-1]
    project.run(str(JOURNEY), secret, fresh_project.IN_PROCESS)
    assert project.run("-c", CHECK).splitlines() == ["No changes detected", "executions.W001"]


# Migrations that are missing, and the faults of a deployment that are not Django's own: those are about the settings of
# the project.
CHECK = """
import os, sys
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "host.settings"
import django
from django.core import checks
from django.core.management import call_command
django.setup()
call_command("makemigrations", check_changes=True, dry_run=True)
found = checks.run_checks(include_deployment_checks=True)
print(*(each.id for each in found if not each.id.startswith(("security.", "mail."))))
"""
