"""The place in the primary's WAL a replica has reached, and when it may be read."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from ledgerkit.db import replica_watch
from ledgerkit.db.replica_watch import NotReadable, Place, ReplicaWatch

MAX_LAG = 10


class Servers:
    """A primary and a replica, at a time of our own. A second is a byte of WAL."""

    def __init__(self, monkeypatch: Any) -> None:
        self.now, self.replayed, self.error = 1_000, 0, None
        self.watch = ReplicaWatch()
        self.watch._began_at = self.now
        monkeypatch.setattr(replica_watch.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(replica_watch, "_note_place", lambda: Place(self.now, 1, datetime.now(UTC), "", self.now))
        monkeypatch.setattr(replica_watch, "_close_pool", lambda: None)
        monkeypatch.setattr(self.watch, "_start", lambda: None)
        monkeypatch.setattr(self.watch, "_replay_place", lambda _system: self._answer())

    def _answer(self) -> int:
        if self.error:
            raise self.error
        return self.replayed

    def reached(self, *, after: int, replayed: int) -> float | None:
        self.now += after
        self.replayed = replayed
        self.watch._look()
        place = self.watch.reached_place()
        return place and place.noted_at


@pytest.fixture
def servers(monkeypatch: Any) -> Servers:
    return Servers(monkeypatch)


def test_the_replica_position_is_the_newest_one_that_is_replayed(servers: Servers) -> None:
    assert servers.reached(after=1, replayed=1_000) is None
    assert servers.reached(after=1, replayed=1_001) == 1_001
    assert servers.reached(after=1, replayed=1_002) == 1_002
    assert servers.reached(after=1, replayed=1_002) == 1_002
    assert servers.reached(after=1, replayed=1_005) == 1_005


def test_a_replica_that_is_too_far_behind_is_not_read_until_it_has_caught_up(servers: Servers, caplog: Any) -> None:
    assert servers.reached(after=1, replayed=1_001) == 1_001
    assert servers.reached(after=MAX_LAG, replayed=1_002) == 1_001
    assert servers.reached(after=1, replayed=1_003) is None
    assert servers.reached(after=1, replayed=1_004) is None
    assert servers.reached(after=1, replayed=1_013) == 1_013
    assert caplog.messages == [
        "The primary is read, as the replica cannot be: it is more than 10 seconds behind",
        "The replica is read again.",
    ]


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), NotReadable("gone"), OSError("gone")])
def test_a_replica_that_is_gone_is_not_read_until_it_is_back_with_one_line_each(
    servers: Servers, error: Exception, caplog: Any
) -> None:
    servers.reached(after=1, replayed=1_001)
    servers.error = error
    assert [servers.reached(after=1, replayed=0) for _ in range(3)] == [None] * 3
    servers.error = None
    assert servers.reached(after=1, replayed=1_005) == 1_005
    assert caplog.messages == ["The primary is read, as the replica cannot be: gone", "The replica is read again."]


def test_what_it_knew_does_not_outlive_its_thread(servers: Servers) -> None:
    servers.reached(after=1, replayed=1_001)
    servers.now += MAX_LAG + 1
    assert servers.watch.reached_place() is None
