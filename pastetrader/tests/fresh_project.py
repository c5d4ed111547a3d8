"""A new Django project that installs the apps from their wheel, by the steps of docs/install.md."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from pastetrader.tests.live_server import ROOT
from pastetrader.translations import APPS

INSTALL = (ROOT / "docs" / "install.md").read_text()
BUILD, SETTINGS, URLS, COMMANDS, IN_PROCESS = re.findall(r"^```\w+\n(.*?)^```", INSTALL, re.MULTILINE | re.DOTALL)
NOT_COPIED = shutil.ignore_patterns("__pycache__")
USER_MODEL = """
import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
"""
# What differs between projects, and so is not in the document.
OWN_SETTINGS = """
AUTH_USER_MODEL = "people.User"
INSTALLED_APPS = ["people", *INSTALLED_APPS]
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": "{socket}",
}}}}
"""


def build_wheel(folder: Path) -> Path:
    """Build in a copy, because setuptools writes beside the sources."""
    source = folder / "source"
    for app in APPS:
        shutil.copytree(ROOT / app, source / app, ignore=NOT_COPIED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    assert shlex.split(BUILD.splitlines()[0]) == ["python", "-m", "build", "--wheel"]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next(folder.glob("pastetrader_executions-*.whl"))


class FreshProject:
    """An environment with the wheel and, at the pinned versions, what it requires; nothing else can be imported."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.python = folder / "environment" / "bin" / "python"
        venv.create(folder / "environment", symlinks=True)
        self.packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "environment")}))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
        subprocess.run([*pip, self.packages, wheel], check=True)
        self._link_requirements()

    def _link_requirements(self) -> None:
        """Link what pip would install, so that the test needs no package index and tests the pinned versions."""
        own = next(self.packages.glob("pastetrader_executions-*.dist-info"))
        beside = Requirement(shlex.split(BUILD.splitlines()[1])[-1])
        for each in _closure([*_requirements(PathDistribution(own), set()), beside]):
            for top in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
                (self.packages / top).symlink_to(Path(str(each.locate_file(top))))

    def start(self, socket: Path) -> None:
        """Take the steps of the document, up to the tables."""
        self.run("-m", "django", "startproject", "host", ".")
        self.manage("startapp", "people")
        (self.folder / "people" / "models.py").write_text(USER_MODEL)
        with (self.folder / "host" / "settings.py").open("a") as settings:
            settings.write(OWN_SETTINGS.format(socket=socket) + SETTINGS)
        with (self.folder / "host" / "urls.py").open("a") as urls:
            urls.write(URLS)
        self.manage("makemigrations", "people")

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments)

    def run(self, *arguments: str) -> str:
        """Run Python with each warning as an error; return its output."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "DJANGO_SUPERUSER_PASSWORD": "an-admin's-password"}
        command = [self.python, "-W", "error", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def _closure(requirements: list[Requirement]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        each = found.setdefault(requirement.name.lower(), distribution(requirement.name))
        assert requirement.specifier.contains(each.version), requirement
        waiting += _requirements(each, requirement.extras)
    return list({each.metadata["Name"]: each for each in found.values()}.values())


def _requirements(of: Distribution, extras: set[str]) -> list[Requirement]:
    every = [Requirement(text) for text in of.requires or ()]
    wanted = [{"extra": extra} for extra in ("", *extras)]
    return [each for each in every if each.marker is None or any(map(each.marker.evaluate, wanted))]
