"""The pool of connections: the check of one before a request, and the tries to open one."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from ledgerkit.rate_limited_logging import NEVER
from pastetrader import pool_check
from pastetrader.pool_check import check_open


@pytest.fixture
def pooled_connection(transactional_db: None) -> Iterator[psycopg.Connection]:
    found = connection.get_connection_params()
    parameters = {name: found[name] for name in ("dbname", "user", "host", "port") if name in found}
    with closing(psycopg.connect(**parameters)) as opened:
        yield opened


@pytest.mark.django_db(transaction=True)
def test_an_open_connection_is_used_without_a_query(pooled_connection: psycopg.Connection) -> None:
    pooled_connection.execute("SELECT 1")
    pooled_connection.rollback()
    pooled_connection.execute = None  # type: ignore[method-assign, assignment]  # a query would fail
    check_open(pooled_connection)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_closed_is_refused_and_the_log_says_so(
    pooled_connection: psycopg.Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_check.log_closed_connection, "last", NEVER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pooled_connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        check_open(pooled_connection)
    [line] = [record.getMessage() for record in caplog.records if record.name == pool_check.__name__]
    assert line.startswith("A connection to the database was closed while it was idle. It is replaced: terminating")


def test_the_pauses_between_tries_to_connect_stay_short_however_long_the_database_is_away() -> None:
    assert settings.POOL["reconnect_timeout"] <= 5
