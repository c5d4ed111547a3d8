"""After a test that commits nothing of it is left, and the ledger guards its rows again."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import DatabaseError, connection

from executions.models import ExecutionLog
from executions.tests.factories import ExecutionLogFactory

from . import table_cleanup

pytestmark = pytest.mark.django_db(transaction=True)


def rows() -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
    return found


@pytest.mark.parametrize("most", [table_cleanup.MAX_DELETED, 0])
def test_every_table_is_empty_but_those_that_every_test_finds(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows are removed by TRUNCATE."""
    monkeypatch.setattr(table_cleanup, "MAX_DELETED", most)
    permissions = Permission.objects.count()
    ExecutionLogFactory()
    assert rows()["execution_logs"] == 1
    call_command("flush", interactive=False, verbosity=0)
    assert {table for table, number in rows().items() if number} - {"django_migrations"} == table_cleanup.KEPT_TABLES
    assert Permission.objects.count() == permissions > 0


def test_a_line_is_guarded_again() -> None:
    ExecutionLogFactory()
    call_command("flush", interactive=False, verbosity=0)
    line = ExecutionLogFactory()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("UPDATE execution_logs SET message = message")
    assert ExecutionLog.objects.get() == line
