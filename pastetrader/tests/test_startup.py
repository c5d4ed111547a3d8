"""Every start of a server makes the partitions ahead, from within an event loop too."""

import asyncio
import importlib
from typing import Any

import pytest

from executions import partitions


async def start(name: str) -> None:
    importlib.reload(importlib.import_module(f"pastetrader.{name}"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_a_start_makes_the_partitions_that_are_missing_ahead(name: str, settings: Any) -> None:
    settings.EXECUTIONS_LOG_PARTITIONS_AHEAD += 2 if name == "asgi" else 3
    missing = set(partitions.plan()) - set(partitions.existing())
    asyncio.run(start(name))
    assert missing
    assert missing <= set(partitions.existing())


@pytest.mark.django_db
def test_a_start_without_the_table_serves_and_says_so(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setattr(partitions, "TABLE", "nothing_of_that_name")
    monkeypatch.setattr(partitions, "_known", {})
    asyncio.run(start("asgi"))  # sets up logging anew, as a server does
    assert "Has the database been migrated?" in capfd.readouterr().err
