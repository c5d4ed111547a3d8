"""Korean catalogues: one for each app in its own locale folder, one for the project, extracted and compiled.

A .po has no line numbers, dates or obsolete strings, so that two branches merge.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

APPS = ("ledgerkit", "tokens", "workflows", "executions", "alerts")
PROJECT = ("pastetrader", "local_postgres", "templates")
PO = Path("locale", "ko", "LC_MESSAGES", "django.po")
TOOLS = ("xgettext", "msgmerge", "msguniq", "msgattrib", "msgfmt")
EXTRACT = ("makemessages", "--locale=ko", "--no-obsolete", "--no-wrap", "--add-location=file", "--verbosity=0")
DATES = re.compile(r'^"(?:POT-Creation|PO-Revision)-Date: .*\n', re.MULTILINE)
NOT_READ = shutil.ignore_patterns("tests", "__pycache__", "locale")


def update() -> None:
    """Write the strings of the sources into the .po files and compile them. Raise ToolsMissing without gettext."""
    with extract() as fresh:
        for stored, made in fresh.items():
            stored.write_text(made.read_text())
    for po in (*catalogue_paths(), scripts_catalogue_path()):
        compile_to(po, po.with_suffix(".mo"))


def catalogue_paths() -> list[Path]:
    """Return the .po of each app and of the project, which comes last."""
    return [settings.BASE_DIR / name / PO for name in (*APPS, "pastetrader")]


def scripts_catalogue_path() -> Path:
    """Return the .po of strings in Django's own scripts that Django's lacks; our scripts have no strings."""
    return catalogue_paths()[-1].with_name("djangojs.po")


@contextmanager
def extract() -> Iterator[dict[Path, Path]]:
    """Yield, by stored .po, what makemessages makes of the sources. Raise ToolsMissing without gettext.

    It runs in a copy of the sources, because it writes files of its own beside them. A string belongs to the nearest
    locale folder above it; the project's is at the root of the copy, for its templates are outside of its package.
    """
    require_tools()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (*APPS, *PROJECT):
            shutil.copytree(settings.BASE_DIR / name, root / name, ignore=NOT_READ)
        copies = [*(root / name / PO for name in APPS), root / PO]
        for stored, copy in zip(catalogue_paths(), copies, strict=True):
            copy.parent.mkdir(parents=True)
            shutil.copy(stored, copy)
        _run(sys.executable, "-m", "django", *EXTRACT, folder=root)
        for copy in copies:
            copy.write_text(DATES.sub("", copy.read_text()))
        yield dict(zip(catalogue_paths(), copies, strict=True))


def compile_to(po: Path, mo: Path) -> None:
    """Compile a .po. Raise ToolsMissing, or CalledProcessError where a translation has another format."""
    require_tools()
    _run("msgfmt", "--check-format", "--output-file", str(mo), str(po), folder=po.parent)


def require_tools() -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise ToolsMissing(f"GNU gettext is missing ({', '.join(missing)}): install it, as with `apt install gettext`.")


class ToolsMissing(Exception):
    """GNU gettext is not installed."""


def _run(*command: str, folder: Path) -> None:
    """Run a command without our settings: makemessages then reads nothing but `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603  # the words are constants and paths
