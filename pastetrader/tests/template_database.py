"""A migrated database on the server that DATABASE_URL names: made once, and copied for each process of the suite."""

import os
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from pastetrader.tests.prepared_folder import made_once, manage

MAKE = """
from django.db import connection
connection.settings_dict.setdefault("TEST", {{}})["NAME"] = {name!r}
connection.creation.create_test_db(verbosity=0, autoclobber=True)
"""


def use(request: pytest.FixtureRequest) -> None:
    """Make the database of this process a copy of the migrated one, unless it keeps one of an earlier run."""
    if request.config.getvalue("reuse_db") and not request.config.getvalue("create_db"):
        return
    made_once(request.getfixturevalue("tmp_path_factory"), "template", make)
    settings.DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = name()


def name() -> str:
    return f"test_{settings.DATABASES['default']['NAME']}_template"


def make(home: Path) -> None:
    code = MAKE.format(name=name())
    done = manage("shell", "--no-imports", "-c", code, local=home, DATABASE_URL=os.environ["DATABASE_URL"])
    assert done.returncode == 0, done.stderr


def drop() -> None:
    """Drop it if this run made it, when the processes that copied it have ended."""
    with suppress(psycopg.Error), psycopg.connect(os.environ["DATABASE_URL"], dbname="postgres") as connection:
        connection.autocommit = True
        connection.execute(f'DROP DATABASE IF EXISTS "{name()}"')
