"""The first of many rows are read off an index, whatever the planner believes of how many there are."""

import pytest
from django.db import connection, transaction

from executions.models import ExecutionLog
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.timeouts import no_sort

pytestmark = pytest.mark.django_db


def may_sort() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_sort")
        return str(cursor.fetchone()[0])


def test_nothing_is_sorted_within_and_everything_after_it() -> None:
    with transaction.atomic():
        with no_sort():
            assert may_sort() == "off"
            with no_sort():
                assert may_sort() == "off"
            assert may_sort() == "off"
        assert may_sort() == "on"


def test_the_newest_lines_of_a_run_of_which_nobody_knows_how_many_it_has_come_off_the_index() -> None:
    run = WorkflowExecutionFactory()
    with no_sort():
        plan = run.logs.order_by("-timestamp", "-id")[:200].explain()
    assert ExecutionLog.objects.count() == 0
    assert "Sort" not in plan.replace("Sort Key", "")
    assert "Merge Append" in plan


def test_an_error_stays_what_it_is_and_undoes_the_setting() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(), no_sort():
        raise ZeroDivisionError
    assert may_sort() == "on"


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_it_ends_with_its_own() -> None:
    with no_sort():
        assert may_sort() == "off"
    assert may_sort() == "on"
