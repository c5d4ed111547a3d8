"""Every start of a server makes the partitions ahead, from within an event loop too."""

import asyncio
import gc
import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from executions import partitions
from executions.conf import executions_settings
from pastetrader import startup


async def prepare() -> None:
    startup.prepare()


@pytest.fixture
def own_pool(transactional_db: None) -> Iterator[None]:
    """Leave no connection of the pool that a start closes to the next test."""
    connection.close()
    yield
    connection.close()


@pytest.mark.usefixtures("own_pool")
def test_a_start_makes_the_partitions_that_are_missing_ahead(settings: Any) -> None:
    ahead = executions_settings.LOG_PARTITIONS_AHEAD + 2
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_PARTITIONS_AHEAD": ahead}
    missing = set(partitions.plan()) - set(partitions.existing())
    asyncio.run(prepare())
    try:
        assert missing
        assert missing <= set(partitions.existing())
    finally:
        with connection.cursor() as cursor:  # or the next session of a database that is reused finds none missing
            cursor.execute(f"DROP TABLE {', '.join(partition.name for partition in missing)}")


@pytest.mark.usefixtures("own_pool")
def test_a_start_without_the_table_serves_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "pastetrader.startup"):
        patch.setattr(partitions, "TABLE", "nothing_of_that_name")
        patch.setattr(partitions, "_known", {})
        asyncio.run(prepare())
    assert "Has the database been migrated?" in caplog.text


def test_a_start_collects_static_files_so_that_any_server_can_show_a_page(
    monkeypatch: Any, settings: Any, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.LOCAL_DIR = tmp_path
    done: list[str] = []
    monkeypatch.setattr(startup, "collect_if_changed", lambda: done.append("collected"))
    startup._collect()
    assert done == ["collected"]


def test_what_is_loaded_is_not_looked_through_by_the_collector_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: done.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("freeze"))
    startup.freeze_loaded_objects()
    assert done == ["collect", "freeze"]


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_whatever_server_imports_the_application_it_is_prepared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    monkeypatch.setattr(startup, "prepare", lambda: prepared.append(name))
    monkeypatch.setattr("django.setup", lambda **_: None)  # once is enough: it would take the suite's log handlers away
    monkeypatch.delitem(sys.modules, f"pastetrader.{name}", raising=False)
    importlib.import_module(f"pastetrader.{name}")
    assert prepared == [name]
