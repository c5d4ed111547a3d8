"""The Korean catalogue: taken from the sources by GNU gettext, kept beside them in locale/, compiled.

The .po is written so that two branches merge: no line numbers, no dates, no obsolete strings.
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

SOURCES = ("ledgerkit", "local_postgres", "pastetrader", "workflows", "executions", "tokens", "templates")
PO = Path("ko", "LC_MESSAGES", "django.po")
TOOLS = ("xgettext", "msgmerge", "msguniq", "msgattrib", "msgfmt")
EXTRACT = ("makemessages", "--locale=ko", "--no-obsolete", "--no-wrap", "--add-location=file", "--verbosity=0")
DATES = re.compile(r'^"(?:POT-Creation|PO-Revision)-Date: .*\n', re.MULTILINE)


class ToolsMissing(Exception):
    """GNU gettext is not installed."""


def update() -> None:
    """Takes new strings into the .po, and what is gone out of it; then compiles it. Raises ToolsMissing."""
    with extract_catalogue() as po:
        catalogue_path().write_text(po.read_text())
    for po in (catalogue_path(), of_scripts()):
        compile_to(po, po.with_suffix(".mo"))


def catalogue_path() -> Path:
    return Path(settings.LOCALE_PATHS[0], PO)


def of_scripts() -> Path:
    """Return the catalogue of strings in Django's own scripts that Django's lacks; our scripts have no strings."""
    return catalogue_path().with_name("djangojs.po")


@contextmanager
def extract_catalogue() -> Iterator[Path]:
    """The .po as it would be after update(). It is made beside a copy of the sources, among which makemessages puts
    files of its own while it works. Raises ToolsMissing."""
    require_tools()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in SOURCES:
            shutil.copytree(
                settings.BASE_DIR / name, root / name, ignore=shutil.ignore_patterns("tests", "__pycache__")
            )
        po = root / "locale" / PO
        po.parent.mkdir(parents=True)
        if catalogue_path().exists():
            shutil.copy(catalogue_path(), po)
        _run(sys.executable, "-m", "django", *EXTRACT, folder=root)
        po.write_text(DATES.sub("", po.read_text()))
        yield po


def compile_to(po: Path, mo: Path) -> None:
    """Raises ToolsMissing; and CalledProcessError where the format of a translation is not its original's."""
    require_tools()
    _run("msgfmt", "--check-format", "--output-file", str(mo), str(po), folder=po.parent)


def require_tools() -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise ToolsMissing(f"GNU gettext is missing ({', '.join(missing)}): install it, as with `apt install gettext`.")


def _run(*command: str, folder: Path) -> None:
    """Run a command without our settings: makemessages then reads nothing but `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603  # no word of it comes from outside
