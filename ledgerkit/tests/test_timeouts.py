"""A statement that takes too long is ended, and the next one is answered."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

pytestmark = pytest.mark.django_db


def query_value(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return str(cursor.fetchone()[0])


def limit() -> str:
    return query_value("SHOW statement_timeout")


def test_a_statement_that_takes_longer_is_ended_and_the_transaction_around_it_goes_on() -> None:
    before = limit()
    with pytest.raises(StatementTimeout), statement_timeout(20):
        query_value("SELECT pg_sleep(5)")
    assert query_value("SELECT 1") == "1"
    assert limit() == before


def test_the_limit_holds_within_and_no_longer() -> None:
    before = limit()
    with transaction.atomic():
        with statement_timeout(70_000):
            assert limit() == "70s"
            with statement_timeout(20_000):
                assert limit() == "20s"
            assert limit() == "70s"
        assert limit() == before


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), statement_timeout(70_000):
        raise ZeroDivisionError
    assert query_value("SELECT 1") == "1"


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_the_limit_ends_with_its_own() -> None:
    before = limit()
    with statement_timeout(70_000):
        assert limit() == "70s"
    assert limit() == before


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_the_limit_is_set_by_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries, statement_timeout(70_000):
        pass
    assert sum("set_config" in query["sql"] for query in queries) == 1


def test_within_a_limit_nothing_is_compiled() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = on")
        with statement_timeout(1_000), statement_timeout(500):
            assert cursor.execute("SHOW jit").fetchone() == ("off",)
        assert cursor.execute("SHOW jit").fetchone() == ("on",)
