import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction

from executions import partitions
from executions.conf import executions_settings
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.partitions import Partition
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory
from executions.tests.threads import start_in_thread
from ledgerkit.db.models import uuid7

NOW = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)  # a Sunday
# Of this database alone: others of the cluster, which are copies of the same template, have tables of the same number.
LOCKS = """
SELECT granted FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE datname = current_database() AND relation = %s::regclass
"""
LONG_AGO = UUID("0162c5a4-2c00-7000-8000-000000000000")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty the cache of partitions, because the partitions of a test are rolled back."""
    monkeypatch.setattr(partitions, "_known", {})
    monkeypatch.setattr(partitions, "_uncommitted", set())


def at(moment: datetime) -> UUID:
    return UUID(int=partitions.bound(moment).int | 7 << 76 | 2 << 62)


def test_a_partition_is_a_calendar_week() -> None:
    week = Partition.at(NOW)
    assert (week.start, week.end) == (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
    assert week.name == "execution_logs_20261116_20261123"
    bounds = f"FOR VALUES FROM ('{partitions.bound(week.start)}') TO ('{partitions.bound(week.end)}')"
    assert Partition.parse(bounds) == week


def test_the_length_and_how_many_are_made_ahead_are_settings(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_PARTITION_DAYS": 1, "LOG_PARTITIONS_AHEAD": 2}
    assert [partition.start.day for partition in partitions.plan(NOW)] == [22, 23, 24]


def test_the_id_is_the_clock() -> None:
    assert abs(partitions.time_of(uuid7()) - datetime.now(UTC)) < timedelta(minutes=1)
    assert partitions.time_of(at(NOW)) == NOW


@pytest.mark.django_db
def test_migrate_has_made_the_present_one_and_those_ahead_and_no_default() -> None:
    assert set(partitions.plan()) <= set(partitions.existing())
    assert partitions.make_ahead() == []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relispartition AND pg_get_expr(relpartbound, oid) = 'DEFAULT'"
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_every_start_makes_what_is_missing_ahead(settings: Any) -> None:
    ahead = executions_settings.LOG_PARTITIONS_AHEAD + 3
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_PARTITIONS_AHEAD": ahead}
    assert len(partitions.make_ahead()) == 3
    assert partitions.make_ahead() == []


@pytest.mark.django_db
@pytest.mark.parametrize("write", ["create", "bulk_create"])
def test_a_line_does_not_fail_for_want_of_a_partition_and_a_warning_says_so(write: str, caplog: Any) -> None:
    run = WorkflowExecutionFactory()
    lines = [ExecutionLog(id=LONG_AGO, workflow_execution=run, level="info", message="old")]
    with caplog.at_level(logging.WARNING, "executions.partitions"):
        if write == "create":
            lines[0].save()
        else:
            ExecutionLog.objects.bulk_create(lines)
    assert run.logs.get().id == LONG_AGO
    assert f"Made the missing partition {Partition.at(partitions.time_of(LONG_AGO)).name}" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "advised"), [(-400, False), (400, True)])
def test_the_setting_is_advised_where_it_helps(days: int, advised: bool, caplog: Any) -> None:
    partitions.ensure([at(datetime.now(UTC) + timedelta(days=days))])
    assert "Check the clock" in caplog.text
    assert ("LOG_PARTITIONS_AHEAD" in caplog.text) == advised


@pytest.mark.django_db
def test_a_line_in_a_partition_that_is_there_costs_two_statements(django_assert_num_queries: Any) -> None:
    run = WorkflowExecutionFactory()
    ExecutionLogFactory(workflow_execution=run)
    with django_assert_num_queries(2):  # the secrets of its run, the line
        ExecutionLogFactory(workflow_execution=run)


@pytest.mark.django_db
def test_a_partition_that_was_rolled_back_is_made_again() -> None:
    run = WorkflowExecutionFactory()
    for _ in range(2):
        with transaction.atomic():
            ExecutionLogFactory(id=LONG_AGO, workflow_execution=run)
            transaction.set_rollback(True)
    ExecutionLogFactory(id=LONG_AGO, workflow_execution=run)


@pytest.mark.django_db
def test_an_id_whose_time_is_made_up_is_refused() -> None:
    for id in (uuid4(), UUID(int=(1 << 128) - 1 - (8 << 76))):
        with pytest.raises(ValidationError, match="id: "):
            ExecutionLogFactory(id=id)


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [partitions.FIRST, partitions.LAST - timedelta(seconds=1)])
def test_a_line_of_the_first_or_the_last_moment_is_kept(moment: datetime) -> None:
    line = ExecutionLogFactory(id=str(at(moment)))
    assert line.workflow_execution.logs.get().id == at(moment)


@pytest.mark.django_db(transaction=True)
def test_a_partition_that_somebody_dropped_is_made_again() -> None:
    run, partition = WorkflowExecutionFactory(), Partition.at(partitions.time_of(LONG_AGO))
    for number in range(2):
        ExecutionLogFactory(id=UUID(int=LONG_AGO.int + number), workflow_execution=run)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {partition.name}")
    assert not run.logs.exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_missing_partition_waits_its_turn_and_lets_others_go_on(caplog: Any) -> None:
    """ATTACH needs a lock that a writer in a transaction holds: meanwhile other runs are started."""
    run, other = WorkflowExecutionFactory(), WorkflowExecutionFactory()
    started, written = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            run.start()
            started.set()
            written.wait(1.5)
        connection.close()

    def write_line() -> None:
        ExecutionLogFactory(id=LONG_AGO, workflow_execution=other)
        connection.close()

    threads = [threading.Thread(target=write_slowly), threading.Thread(target=write_line)]
    threads[0].start()
    started.wait()
    threads[1].start()
    other.start()
    for thread in threads:
        thread.join()
    try:
        assert other.logs.count() == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {Partition.at(partitions.time_of(LONG_AGO)).name}")


@pytest.fixture
def without_old_partition(transactional_db: None) -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {Partition.at(partitions.time_of(LONG_AGO)).name}")


@pytest.mark.usefixtures("without_old_partition")
def test_a_missing_partition_gives_way_to_a_transaction_that_would_wait_in_a_circle() -> None:
    """A transaction has written a node execution, which the partition waits for, and then writes a run."""
    run, node = WorkflowExecutionFactory(), NodeExecutionFactory()
    with transaction.atomic():
        NodeExecution.objects.filter(pk=node.pk).update(input_data={})
        maker = start_in_thread(lambda: partitions.ensure([LONG_AGO]))
        wait_for_lock_on("node_executions")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '900ms'")  # below deadlock_timeout, which fails one of them
        WorkflowExecution.objects.filter(pk=run.pk).update(metadata={})
    maker.result(60)
    assert Partition.at(partitions.time_of(LONG_AGO)) in partitions.existing()


@pytest.mark.usefixtures("without_old_partition")
def test_a_missing_partition_waits_for_upkeep_and_blocks_nobody() -> None:
    """DETACH holds this lock, and ANALYZE."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE ONLY execution_logs IN SHARE UPDATE EXCLUSIVE MODE")
        maker = start_in_thread(lambda: partitions.ensure([LONG_AGO]))
        wait_for_lock_on("execution_logs")
        with connection.cursor() as cursor:
            cursor.execute(LOCKS, ["workflow_executions"])
            assert not cursor.fetchall()
    maker.result(60)
    assert Partition.at(partitions.time_of(LONG_AGO)) in partitions.existing()


def wait_for_lock_on(table: str) -> None:
    """Wait until a transaction waits for a lock on the table."""
    with connection.cursor() as cursor:
        for _ in range(6_000):
            cursor.execute(LOCKS, [table])
            if (False,) in cursor.fetchall():
                return
            time.sleep(0.01)
    raise AssertionError(f"Nobody waits for {table}.")


@pytest.mark.django_db
def test_another_length_fits_between_those_that_are_there(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_PARTITION_DAYS": 30}
    moments = [LONG_AGO, at(partitions.plan()[-1].end + timedelta(days=20))]
    run = WorkflowExecutionFactory()
    for id in moments:
        ExecutionLogFactory(id=id, workflow_execution=run)
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_PARTITION_DAYS": 1}
    ExecutionLogFactory(id=at(partitions.time_of(LONG_AGO) - timedelta(days=40)), workflow_execution=run)
    there = sorted(partitions.existing())
    assert all(first.end <= second.start for first, second in pairwise(there))
    assert run.logs.count() == 3


@pytest.mark.django_db(transaction=True)
def test_lines_that_miss_the_same_partition_at_once_all_arrive() -> None:
    run, errors = WorkflowExecutionFactory(), []
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        try:
            barrier.wait()
            ExecutionLogFactory(id=UUID(int=LONG_AGO.int + number), workflow_execution=run)
        except DatabaseError as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert (errors, run.logs.count()) == ([], 8)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {Partition.at(partitions.time_of(LONG_AGO)).name}")
