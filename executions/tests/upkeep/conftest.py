"""Rules of retention with which a test need not wait."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from executions import partitions
from executions.upkeep import log_partitions
from executions.upkeep.advisory_lock import connect


@pytest.fixture
def short_rules(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set short rules. Afterwards no partition of a test is left."""
    own = {"UPKEEP_PAUSE_MS": 0, "LOG_PARTITION_DAYS": 7, "LOG_DAYS": 30, "DETAIL_LOG_DAYS": None}
    settings.EXECUTIONS = settings.EXECUTIONS | own
    monkeypatch.setattr(log_partitions, "PAUSE", 0.01)
    partitions.forget()
    yield
    with connect() as session:
        for table in log_partitions.attached_partitions(session):
            if table.partition.end < timezone.now():
                session.execute(f"DROP TABLE {table.name}")
        session.execute("TRUNCATE execution_log_removals")
    partitions.forget()
