"""The suite's own database: an embedded cluster in a temporary folder, unless DATABASE_URL names a server."""

import gc
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.management import get_commands
from django.utils import timezone, translation

from local_postgres.server import release_all
from local_postgres.socket_path import socket_dir
from pastetrader.tests.proofs import times
from pastetrader.tests.scheduling import FIRST, ON_EACH_VERSION, ON_ONE_VERSION, SERVERS_FOLDERS, SITE, GroupScheduling
from pastetrader.tests.shared_imports import import_in_turn

# The same examples on every run and no time limit on one: a suite that is red by chance is no use.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, max_examples=times(30, 300))
hypothesis.settings.load_profile("steady")

pytest_plugins = ["executions.tests.cast", "executions.tests.query_plans", "pastetrader.tests.prepared_folder"]

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DATABASE = {"db", "transactional_db", "django_db_setup"}  # fixtures: whatever else opens the database requests one
# Threads that race hold a connection each; a stock server takes 100.
POOL = {"min_size": 0, "max_size": 80, "timeout": 30}


def pytest_configure() -> None:
    # Pages are rendered without a collectstatic before them.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STATIC_ROOT = None
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.DATABASES["default"]["OPTIONS"]["pool"] = POOL
    # All tests come from one address, and many of them with a wrong token or password.
    counted = ("TOKEN_FAILURES", "LOGIN_FAILURES", "LOGIN_FAILURES_ADDRESS", "LOGIN_FAILURES_NAME")
    settings.TOKENS = settings.TOKENS | dict.fromkeys(counted, 0)


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied_quickly() -> None:
    """After a test that commits Django calls the command of this name."""
    from pastetrader.tests.table_cleanup import Flush  # noqa: PLC0415  # models may be imported once the apps are loaded

    get_commands()["flush"] = Flush()


@pytest.fixture(autouse=True)
def language_and_time_zone_are_reset() -> Iterator[None]:
    """A page leaves those of its reader active in this thread."""
    yield
    translation.deactivate()
    timezone.deactivate()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Do not search for garbage in what is imported and collected: it stays, and each search takes half a second. In
    what tests make, search less often than Python does by itself: that takes a twentieth of their time."""
    gc.disable()
    import_in_turn(session.config)
    result = yield
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)
    gc.enable()
    return result


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and os.environ.get("DATABASE_URL"):
        from pastetrader.tests import template_database  # noqa: PLC0415  # needs a plugin, which pytest imports first

        template_database.drop()


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        if item.nodeid.startswith(SITE) or SERVERS_FOLDERS.intersection(item.fixturenames):
            item.add_marker("site")
        if uses_database(item):
            item.add_marker("database")
            if is_repeated(item):
                item.add_marker("stock")
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def is_repeated(item: pytest.Function) -> bool:
    """Return whether `.ci/run` runs this test, which uses the database, on the stock PostgreSQL too."""
    if item.nodeid.startswith(ON_EACH_VERSION):
        return True
    elsewhere = item.nodeid.startswith(ON_ONE_VERSION)
    return not elsewhere and not any(item.get_closest_marker(mark) for mark in ("site", "slow"))


def uses_database(item: pytest.Function) -> bool:
    """Return whether the test may use the suite's database: pytest-django refuses a connection to any other one."""
    return item.get_closest_marker("django_db") is not None or not DATABASE.isdisjoint(item.fixturenames)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Give each test the same name in all processes of the suite: an id that differs between processes becomes a fixed
    text."""
    return UUID.sub("uuid", val) if isinstance(val, str) and UUID.search(val) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return GroupScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make captured lines encodable: a line may hold a lone surrogate, which no worker can send."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    if os.environ.get("DATABASE_URL"):
        if is_parallel():
            from pastetrader.tests import template_database  # noqa: PLC0415  # needs a plugin, which pytest imports first

            template_database.use(request)
        yield
        return
    from pastetrader.tests.prepared_folder import copy  # noqa: PLC0415  # a plugin, which pytest imports first

    home = Path(tempfile.mkdtemp(prefix="pastetrader-tests-")).resolve()
    data_dir = home / "postgres"
    database = settings.DATABASES["default"]
    if made := database_folder(request):  # for all processes once: each would migrate for 6 s of processor time
        copy(request.getfixturevalue(made), home)
        database.setdefault("TEST", {})["TEMPLATE"] = database["NAME"]
    database |= {
        "HOST": str(socket_dir(data_dir)),
        "EMBEDDED": {"data_dir": data_dir, "durable": False},
    }
    yield
    release_all()
    shutil.rmtree(home)


def database_folder(request: pytest.FixtureRequest) -> str | None:
    """Return the fixture of a folder with a migrated database: that of the servers if a test of this run starts one."""
    if any("prepared" in item.fixturenames for item in request.session.items if isinstance(item, pytest.Function)):
        return "prepared"
    return "migrated" if is_parallel() else None


def is_parallel() -> bool:
    """Return whether this is one of several processes of a run."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1


@pytest.fixture(scope="module")
def truncated(django_db_setup: None, django_db_blocker: Any) -> None:
    """Truncate all tables for tests of query plans, so that PostgreSQL has no statistics yet."""
    from pastetrader.tests.table_cleanup import truncate  # noqa: PLC0415  # models may be imported once the apps are loaded

    with django_db_blocker.unblock():
        truncate()


@pytest.fixture
def statistics(truncated: None, django_db_blocker: Any) -> Iterator[None]:
    """Forget what ANALYZE finds within the test, of which some outlives the rollback. Requested before `db`."""
    yield
    from pastetrader.tests.table_cleanup import truncate  # noqa: PLC0415  # models may be imported once the apps are loaded

    with django_db_blocker.unblock():
        truncate()
