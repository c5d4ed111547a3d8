"""Django's cache in an SQLite file, which the processes of a server share.

Django's own caches in files and in the database read and write in two steps: of failures at the same moment, some would
not be counted. An operation takes 5 µs of processor time, as in the memory of a process (docs/decisions.md). Where the
file cannot be used, as on a full disk, a process counts in its memory meanwhile.
"""

import logging
import os
import pickle
import sqlite3
import time
from threading import Lock
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

logger = logging.getLogger(__name__)

PLAIN = (int, float, str)  # stored as they are; others are pickled
PURGE_EVERY = 500  # writes of a process after which it removes what has expired
WAIT = 1.0  # seconds for another process that writes
RETRY = 60.0  # seconds until a file that could not be used is tried again
SCHEMA = """
PRAGMA journal_mode = wal;
PRAGMA synchronous = normal;
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value, until REAL NOT NULL) WITHOUT ROWID;
"""
GET = "SELECT value FROM entries WHERE key = ? AND until > ?"
SET = """
INSERT INTO entries VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, until = excluded.until
"""
ADD = f"{SET} WHERE entries.until <= ?"
INCR = "UPDATE entries SET value = value + ? WHERE key = ? AND until > ? RETURNING value"
TOUCH = "UPDATE entries SET until = ? WHERE key = ? AND until > ?"
DELETE = "DELETE FROM entries WHERE key = ? AND until > ?"
PURGE = "DELETE FROM entries WHERE until <= ?"
# Those that expire first go where there are too many.
CULL = """
DELETE FROM entries WHERE key IN
    (SELECT key FROM entries ORDER BY until LIMIT max(0, (SELECT count(*) FROM entries) - ?))
"""


class Database:
    """The one connection of this process to a file, and one to its memory for when the file cannot be used."""

    def __init__(self, path: str) -> None:
        self.path, self.lock, self.writes = path, Lock(), 0
        self.file: sqlite3.Connection | None = None
        self.memory: sqlite3.Connection | None = None
        self.retry_at = 0.0

    def execute(self, sql: str, *values: object) -> tuple[list[object], int]:
        """Return the rows and how many were changed."""
        with self.lock:
            if time.monotonic() >= self.retry_at:
                try:
                    return self._execute_in_file(sql, *values)
                except (sqlite3.Error, OSError) as error:
                    self._leave_file(error)
            self.memory = self.memory or _connect(":memory:")
            return _execute(self.memory, sql, *values)

    def _execute_in_file(self, sql: str, *values: object) -> tuple[list[object], int]:
        if self.file is None:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self.file = _connect(self.path)
        found = _execute(self.file, sql, *values)
        if self.memory:
            self.memory.close()
            self.memory = None
        return found

    def _leave_file(self, error: Exception) -> None:
        """Close the file, which may be replaced by then, and use memory for a while."""
        if self.memory is None:
            logger.error("%s cannot be used (%s): each process counts for itself until it can.", self.path, error)
        file, self.file = self.file, None
        self.retry_at = time.monotonic() + RETRY
        if file:
            file.close()

    def close(self) -> None:
        for connection in filter(None, (self.file, self.memory)):
            connection.close()


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _execute(connection: sqlite3.Connection, sql: str, *values: object) -> tuple[list[object], int]:
    cursor = connection.execute(sql, values)
    return cursor.fetchall(), cursor.rowcount


_databases: dict[str, Database] = {}
_opening = Lock()
os.register_at_fork(after_in_child=_databases.clear)  # SQLite's connections must not be used by two processes


def _database(path: str) -> Database:
    with _opening:
        if path not in _databases:
            _databases[path] = Database(path)
        return _databases[path]


class SQLiteCache(BaseCache):
    def __init__(self, path: str, params: dict[str, object]) -> None:
        super().__init__(params)
        self.path = path

    def get(self, key: str, default: object = None, version: int | None = None) -> Any:
        rows, _changed = self._execute(GET, self._key(key, version), time.time())
        return _decode(rows[0][0]) if rows else default

    def set(self, key: str, value: object, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._execute(SET, self._key(key, version), _encode(value), self._until(timeout))
        self._purge()

    def add(self, key: str, value: object, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        until = self._until(timeout)
        _rows, changed = self._execute(ADD, self._key(key, version), _encode(value), until, time.time())
        self._purge()
        return changed > 0

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        rows, _changed = self._execute(INCR, delta, self._key(key, version), time.time())
        if not rows:
            raise ValueError(f"Key {key!r} not found")  # as Django's caches do
        return int(rows[0][0])

    def touch(self, key: str, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        until = self._until(timeout)
        return self._execute(TOUCH, until, self._key(key, version), time.time())[1] > 0

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._execute(DELETE, self._key(key, version), time.time())[1] > 0

    def clear(self) -> None:
        self._execute("DELETE FROM entries")

    def _execute(self, sql: str, *values: object) -> tuple[list[Any], int]:
        return _database(self.path).execute(sql, *values)

    def _key(self, key: str, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version=version))

    def _until(self, timeout: float | None) -> float:
        until = self.get_backend_timeout(timeout)
        return float("inf") if until is None else until

    def _purge(self) -> None:
        database = _database(self.path)
        database.writes += 1
        if database.writes % PURGE_EVERY == 0:
            database.execute(PURGE, time.time())
            database.execute(CULL, self._max_entries)  # private, but where Django puts the option MAX_ENTRIES


def _encode(value: object) -> Any:
    return value if type(value) in PLAIN else pickle.dumps(value)


def _decode(stored: object) -> Any:
    return pickle.loads(stored) if isinstance(stored, bytes) else stored  # noqa: S301  # our own file, of mode 600
