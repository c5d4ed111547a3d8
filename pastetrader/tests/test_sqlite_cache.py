"""The cache of the processes of one server."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pastetrader import sqlite_cache
from pastetrader.sqlite_cache import SQLiteCache
from pastetrader.tests.forks import exit_code, fork


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SQLiteCache]:
    path = str(tmp_path / "cache.sqlite3")
    yield SQLiteCache(path, {"OPTIONS": {"MAX_ENTRIES": 3}})
    sqlite_cache._databases.pop(path).close()


@pytest.mark.parametrize("value", [1, 1.5, "text", True, None, [1, 2], b"bytes"])
def test_what_is_stored_is_returned(cache: SQLiteCache, value: object) -> None:
    cache.set("a", value)
    assert cache.get("a", "missing") == value
    assert type(cache.get("a")) is type(value)


def test_an_entry_ends_in_time(cache: SQLiteCache) -> None:
    cache.set("over", 1, timeout=-1)
    cache.set("kept", 1, timeout=None)
    assert (cache.get("over"), cache.get("kept")) == (None, 1)
    assert not cache.touch("over")
    assert not cache.delete("over")
    with pytest.raises(ValueError, match="over"):
        cache.incr("over")
    assert cache.add("over", 2)
    assert not cache.add("over", 3)
    assert cache.touch("over", -1)
    assert cache.get("over") is None


def test_entries_are_removed_one_by_one_or_all(cache: SQLiteCache) -> None:
    cache.set_many({"a": 1, "b": 2})
    assert cache.delete("a")
    assert cache.get_many(["a", "b"]) == {"b": 2}
    cache.clear()
    assert cache.get("b") is None


def test_every_failure_is_counted(cache: SQLiteCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_cache, "WAIT", 60.0)  # a busy machine may let one process wait for a second
    cache.set("a", 0)
    _forget(cache)

    def count_in_child() -> None:
        for _ in range(500):
            cache.incr("a")

    child = fork(count_in_child)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: cache.incr("a"), range(500)))
    assert exit_code(child) == 0
    assert cache.get("a") == 1_000


def test_old_entries_make_room(cache: SQLiteCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_cache, "PURGE_EVERY", 5)
    cache.set("over", 0, timeout=-1)
    for number in range(4):
        cache.set(str(number), number, timeout=100 + number)
    assert [cache.get(str(number)) for number in range(4)] == [None, 1, 2, 3]
    [(left,)], _changed = cache._execute("SELECT count(*) FROM entries")
    assert left == 3


def test_nobody_else_may_read_the_file(cache: SQLiteCache, tmp_path: Path) -> None:
    cache.set("a", 1)
    assert (tmp_path / "cache.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def broken(cache: SQLiteCache, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the file be one that cannot be used."""
    path = Path(cache.path)
    other = sqlite3.connect(path, isolation_level=None)
    cache.set("before", 1)
    match request.param:
        case "damaged":
            _forget(cache)
            path.write_bytes(b"no database" * 1_000)
        case "a folder":
            _forget(cache)
            path.rename(path.with_suffix(".old"))
            path.mkdir()
        case "full":
            database = sqlite_cache._databases[cache.path]
            assert database.file is not None
            database.file.execute("PRAGMA max_page_count = 1")
        case "locked":
            monkeypatch.setattr(sqlite_cache, "WAIT", 0.05)
            _forget(cache)
            other.execute("BEGIN EXCLUSIVE")
    yield
    other.close()


def _forget(cache: SQLiteCache) -> None:
    sqlite_cache._databases.pop(cache.path).close()
    for each in Path(cache.path).parent.glob("*.sqlite3-*"):
        each.unlink()


@pytest.mark.parametrize("broken", ["damaged", "a folder", "full", "locked"], indirect=True)
def test_a_file_that_cannot_be_used_is_logged_once_and_counts_go_on(
    cache: SQLiteCache, broken: None, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("large", "x" * 2**16)
    assert cache.add("a", 1)
    assert [cache.incr("a") for _ in range(3)] == [2, 3, 4]
    assert cache.get("a") == 4
    assert cache.delete("a")
    [said] = [record.getMessage() for record in caplog.records]
    assert "cache.sqlite3 cannot be used (" in said


@pytest.mark.parametrize("broken", ["damaged"], indirect=True)
def test_a_file_is_tried_again(cache: SQLiteCache, broken: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("a", 1)
    Path(cache.path).unlink()
    monkeypatch.setattr(sqlite_cache._databases[cache.path], "retry_at", 0)
    assert cache.get("a") is None
    cache.set("a", 2)
    assert cache.get("a") == 2
    assert sqlite_cache._databases[cache.path].memory is None
