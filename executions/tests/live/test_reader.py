"""A stream sends each line once, whenever its transaction commits."""

import base64
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from executions import ingest, limits
from executions.live import listener, reader
from executions.live.cursor import BadCursor, Cursor
from executions.live.reader import AllRunsReader, RunReader, Step, parse_cursor, snapshot
from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run() -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(), "running")


def steps(source: Any, cursor: Cursor) -> Iterator[Step]:
    """Yield the steps to the present, each read from the cursor that the one before returned."""
    while True:
        step = source.read(Cursor.read(str(cursor)))
        yield step
        cursor = step.after
        if not cursor.until:
            return


def messages(told: list[Step]) -> list[str]:
    return [json.loads(line.text)["message"] for step in told for line in step.lines]


def log(run: WorkflowExecution, *texts: str, **fields: Any) -> None:
    ExecutionLog.objects.bulk_create(
        ExecutionLog(workflow_execution=run, level="info", message=text, **fields) for text in texts
    )


class Writer(threading.Thread):
    """Writes a line in a transaction of its own, which commits when the test lets it."""

    def __init__(self, run: WorkflowExecution, text: str, *, saved: bool = False) -> None:
        super().__init__()
        self.run_, self.text, self.saved = run, text, saved
        self.written, self.may_end, self.rolls_back = threading.Event(), threading.Event(), False
        self.start()
        assert self.written.wait(10)

    def run(self) -> None:
        with closing(connection), transaction.atomic():
            with transaction.atomic() if self.saved else transaction.atomic(savepoint=False):
                log(self.run_, self.text)
            self.written.set()
            self.may_end.wait(10)
            transaction.set_rollback(self.rolls_back)

    def end(self, *, rolls_back: bool = False) -> None:
        self.rolls_back = rolls_back
        self.may_end.set()
        self.join()


@pytest.mark.parametrize("saved", [False, True], ids=["plainly", "behind a savepoint"])
def test_a_line_whose_transaction_commits_after_a_younger_one_is_told_too(run: Any, saved: bool) -> None:
    (first,) = steps(RunReader(run.pk), Cursor())
    older = Writer(run, "older", saved=saved)
    log(run, "younger")
    (second,) = steps(RunReader(run.pk), first.after)
    assert messages([second]) == ["younger"]
    log(run, "youngest")
    older.end()
    third = list(steps(RunReader(run.pk), second.after))
    assert messages(third) == ["older", "youngest"]
    assert messages(list(steps(RunReader(run.pk), third[-1].after))) == []


def test_nobody_waits_for_a_transaction_that_stays_open(run: Any) -> None:
    idle = Writer(WorkflowExecutionFactory(), "of another run")
    (first,) = steps(RunReader(run.pk), Cursor())
    for number in range(3):
        log(run, f"line {number}")
        (first,) = steps(RunReader(run.pk), first.after)
        assert messages([first]) == [f"line {number}"]
    idle.end()


def test_what_is_rolled_back_is_not_told(run: Any) -> None:
    (first,) = steps(RunReader(run.pk), Cursor())
    writer = Writer(run, "never")
    log(run, "told")
    (second,) = steps(RunReader(run.pk), first.after)
    writer.end(rolls_back=True)
    assert messages([second, *steps(RunReader(run.pk), second.after)]) == ["told"]


def test_lines_of_one_step_are_in_the_ledgers_order(run: Any) -> None:
    (first,) = steps(RunReader(run.pk), Cursor())
    now = timezone.now()
    log(run, "third", timestamp=now)
    log(run, "first", timestamp=now - timedelta(hours=1))
    log(run, "second", timestamp=now - timedelta(minutes=1))
    assert messages(list(steps(RunReader(run.pk), first.after))) == ["first", "second", "third"]


@pytest.mark.parametrize("start", [True, False], ids=["from the start", "from a cursor"])
def test_many_lines_are_cut_into_steps_and_each_cursor_goes_on_where_it_stands(
    run: Any, start: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_ROWS", 7)
    cursor = Cursor() if start else Cursor.at(snapshot())
    at_once = timezone.now()
    for number in range(5):
        log(run, *[f"{number} {index}" for index in range(random.Random(number).randint(1, 15))], timestamp=at_once)
    told = list(steps(RunReader(run.pk), cursor))
    assert len(told) > 3
    log(run, "late")  # not yet there for those who are on their way
    for place, step in enumerate(told):
        again = list(steps(RunReader(run.pk), step.before))
        until = [one for one in again if one.before.until or not place][: len(told) - place]
        assert messages(until)[: len(messages(told[place:]))] == messages(told[place:])
    assert sorted(messages(told)) == sorted(run.logs.exclude(message="late").values_list("message", flat=True))
    assert messages(list(steps(RunReader(run.pk), told[-1].after))) == ["late"]


def test_lines_by_copy_and_by_plain_sql_are_told(run: Any) -> None:
    (first,) = steps(RunReader(run.pk), Cursor())
    ingest.write_lines([ExecutionLog(workflow_execution=run, level="info", message="by COPY")])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO execution_logs (id, workflow_execution_id, level, message) VALUES (%s, %s, 'info', 'by SQL')",
            [uuid7(), run.pk],
        )
    assert messages(list(steps(RunReader(run.pk), first.after))) == ["by COPY", "by SQL"]


def test_lines_from_before_the_column_are_told_from_the_start_and_never_again(run: Any) -> None:
    log(run, "old")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE execution_logs DISABLE TRIGGER execution_logs_immutable")
        cursor.execute("UPDATE execution_logs SET written_by = NULL")
        cursor.execute("ALTER TABLE execution_logs ENABLE TRIGGER execution_logs_immutable")
    (first,) = steps(RunReader(run.pk), Cursor())
    assert messages([first]) == ["old"]
    assert messages(list(steps(RunReader(run.pk), first.after))) == []


def set_written_by(table: str, number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} SET written_by = %s", [number])
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_what_a_dump_brought_from_a_database_that_was_further_on_is_told_from_the_start(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LINGER", timedelta())
    monkeypatch.setattr(limits, "STREAM_ROWS", 2)
    log(run, "one", "two", "three")
    run.complete()
    for table in ("execution_logs", "execution_history"):
        set_written_by(table, "900000000000")
    told = list(steps(RunReader(run.pk), Cursor()))
    assert (messages(told), told[-1].end.status) == (["one", "two", "three"], "completed")
    log(run, "four")
    assert messages(list(steps(RunReader(run.pk), told[-1].after))) == ["four"]


def test_moves_of_the_run_and_its_nodes_are_told_as_they_are_now(run: Any) -> None:
    node = NodeExecutionFactory(workflow_execution=run)
    (first,) = steps(RunReader(run.pk), Cursor())
    assert (first.run.status, [row.pk for row in first.nodes]) == ("running", [node.pk])
    (second,) = steps(RunReader(run.pk), first.after)
    assert not second.has_events
    node.start()
    new = NodeExecutionFactory(workflow_execution=run, execution_order=1)
    (third,) = steps(RunReader(run.pk), second.after)
    assert third.run is None
    assert [(row.pk, row.status) for row in third.nodes] == [(node.pk, "running"), (new.pk, "pending")]
    run.fail("went wrong")
    (fourth,) = steps(RunReader(run.pk), third.after)
    assert (fourth.run.status, [row.status for row in fourth.nodes]) == ("failed", ["cancelled", "skipped"])


def test_the_end_is_told_once_and_late_lines_are_waited_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run.complete()
    (first,) = steps(RunReader(run.pk), Cursor())
    assert first.end is None
    assert 1 < first.wake_in <= 2
    monkeypatch.setattr(reader, "LINGER", timedelta())
    log(run, "late")
    (second,) = steps(RunReader(run.pk), first.after)
    assert (messages([second]), second.end.status) == (["late"], "completed")
    (third,) = steps(RunReader(run.pk), second.after)
    assert not third.has_events
    assert third.after.ended


def test_the_end_waits_for_the_lines_that_were_committed_with_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LINGER", timedelta())
    (first,) = steps(RunReader(run.pk), Cursor())
    before = snapshot()
    with transaction.atomic():
        log(run, "last")
        run.complete()
    second = RunReader(run.pk).read(first.after, before)
    assert (messages([second]), second.end, second.after.ended) == ([], None, False)
    (third,) = steps(RunReader(run.pk), second.after)
    assert (messages([third]), third.end.status) == (["last"], "completed")


@pytest.mark.parametrize("source", [lambda run: RunReader(run.pk), lambda _run: AllRunsReader()], ids=["run", "moves"])
def test_a_cursor_counts_no_transaction_as_seen_that_may_be_handed_out_again(run: Any, source: Any) -> None:
    """After a crash the numbers go on after the last one on disk: that of the newest row at the earliest."""
    before = end_of(source(run).snapshot())
    for _ in range(3):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")  # leaves nothing
    assert end_of(source(run).snapshot()) == before < end_of(snapshot())
    run.complete()
    assert end_of(source(run).snapshot()) > before


def end_of(snapshot: str) -> int:
    """Return the number from which on a snapshot counts none as seen. Those in progress before it come and go: they may
    be of autovacuum or of another database."""
    return int(snapshot.split(":")[1])


@pytest.mark.usefixtures("truncated")
@pytest.mark.parametrize(
    ("query", "index"), [("RUN_SNAPSHOT", "Index Only Scan Backward using execution_logs_"),
                         ("ALL_RUNS_SNAPSHOT", "Index Only Scan Backward using idx_execution_history_written_by")]
)  # fmt: skip
def test_the_newest_transaction_that_a_cursor_knows_is_read_off_an_index(run: Any, query: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {getattr(reader, query)}", {"run": run.pk})
        plan = " ".join(row for (row,) in cursor.fetchall())
    assert re.search(index, plan), plan


def test_a_run_that_is_retried_after_its_end_is_told_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LINGER", timedelta())
    run.fail("went wrong")
    (ended,) = steps(RunReader(run.pk), Cursor())
    assert ended.end is not None
    run.retry()
    (again,) = steps(RunReader(run.pk), ended.after)
    assert (again.run.status, again.end, again.after.ended) == ("pending", None, False)


def test_the_moves_of_all_runs_are_told_each_run_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAM_ROWS", 2)
    cursor = AllRunsReader().begin("now")
    (first,) = steps(AllRunsReader(), cursor)
    assert not first.has_events
    others = [in_state(WorkflowExecutionFactory(), "running") for _ in range(3)]
    run.complete()
    told = list(steps(AllRunsReader(), first.after))
    assert {row.pk for step in told for row in step.runs} == {run.pk, *(row.pk for row in others)}
    assert [step.has_events for step in steps(AllRunsReader(), told[-1].after)] == [False]


def test_runs_that_are_deleted_are_told_once_among_the_moves(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAM_ROWS", 2)
    others = [WorkflowExecutionFactory(workflow=run.workflow) for _ in range(4)]
    cursor = AllRunsReader().begin("now")
    WorkflowExecution.objects.filter(pk__in=[other.pk for other in others]).delete()
    run.complete()
    told = list(steps(AllRunsReader(), cursor))
    assert {gone for step in told for gone in step.deleted} == {(other.pk, run.workflow_id) for other in others}
    assert sum(len(step.deleted) for step in told) == len(others)
    assert [row.pk for step in told for row in step.runs] == [run.pk]
    assert [step.has_events for step in steps(AllRunsReader(), told[-1].after)] == [False]


def test_how_long_ago_a_run_has_ended_is_asked_of_the_clock_that_set_its_end(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    run.complete()
    monkeypatch.setattr(reader, "datetime", Ahead, raising=False)  # it has none, and needs none
    monkeypatch.setattr(timezone, "now", Ahead.now)
    (step,) = steps(RunReader(run.pk), Cursor())
    assert step.end is None
    assert step.wake_in is not None
    assert 0 < step.wake_in <= reader.LINGER.total_seconds()


def test_a_run_that_ended_long_ago_by_its_engines_clock_lingers_too(run: Any) -> None:
    run.cancel(at=run.started_at)
    WorkflowExecution.objects.filter(pk=run.pk).update(started_at=run.started_at - timedelta(days=9))
    WorkflowExecution.objects.filter(pk=run.pk).update(ended_at=run.started_at - timedelta(days=8))
    (step,) = steps(RunReader(run.pk), Cursor())
    assert (step.end, step.wake_in is not None) == (None, True)


def test_who_may_write_but_not_read_who_watches_is_heard_all_the_same(run: Any) -> None:
    listener.watch([run.pk])
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE writer_of_lines")
        cursor.execute("GRANT SELECT, INSERT ON execution_logs, execution_history TO writer_of_lines")
        try:
            cursor.execute("LISTEN ledger_runs")
            cursor.execute("SET ROLE writer_of_lines")
            cursor.execute("CREATE TEMPORARY TABLE execution_watches (until timestamptz)")  # and none looks into theirs
            cursor.execute(
                "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%s, 'info', 'one')",
                [run.pk],
            )
            cursor.execute("RESET ROLE")
            assert [notice.payload for notice in connection.connection.notifies(timeout=5, stop_after=1)] == [
                str(run.pk)
            ]
        finally:
            cursor.execute("RESET ROLE; UNLISTEN *; DROP TABLE IF EXISTS pg_temp.execution_watches")
            cursor.execute("DROP OWNED BY writer_of_lines; DROP ROLE writer_of_lines")


def test_a_cursor_that_is_none_or_comes_from_elsewhere_is_refused() -> None:
    older, newer = snapshot(), str(Cursor.at("900000000000:900000000000:"))
    parse_cursor(str(Cursor.at(older)))
    for text in ("", "x", "W10=", newer, str(Cursor.at("5:3:")), str(Cursor.at("1:5:7")), str(Cursor("a b", "1:1:"))):
        with pytest.raises(BadCursor):
            parse_cursor(text)


@pytest.mark.parametrize(
    "after",
    [
        ["1_0", "", str(UUID(int=0))],
        [5.5, "", str(UUID(int=0))],
        ["\u0665", "", str(UUID(int=0))],
        ["5", "2024-W01-1T00:00+00:00", str(UUID(int=0))],
        ["5", "0001-01-01T00:00+23:00", str(UUID(int=0))],
        ["5", "", str(UUID(int=0)).join(("urn:uuid:", ""))],
        ["5", "", 5],
        ["5", 0, str(UUID(int=0))],
        ["5"],
    ],
)
@pytest.mark.parametrize("source", [RunReader, AllRunsReader])
def test_a_made_up_place_is_refused_or_read_as_python_reads_it(run: Any, source: Any, after: Any) -> None:
    place = [snapshot(), snapshot(), "", after, False]
    log(run, "new")
    try:
        cursor = parse_cursor(base64.urlsafe_b64encode(json.dumps(place).encode()).decode())
    except BadCursor:
        return
    (source(run.pk) if source is RunReader else source()).read(cursor)


def test_digits_of_other_scripts_are_no_snapshot() -> None:
    with pytest.raises(BadCursor):
        Cursor.read(str(Cursor.at("\u0665:\u0665:")))


def test_a_cursor_of_a_run_begins_the_moves_of_all_runs_now(run: Any) -> None:
    (step,) = steps(AllRunsReader(), Cursor())
    assert not step.has_events


def plan(run: Any, since: str) -> str:
    place = dict(zip(("transaction", "moment", "id"), reader.BEGINNING, strict=True)) | {"run": run.pk, "most": 1000}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {reader.NEW_LINES}", place | {"since": since, "until": snapshot()})
        return "\n".join(line for (line,) in cursor.fetchall())


def test_what_is_new_is_found_by_an_index(run: Any) -> None:
    rows = [(uuid7(), run.pk, None, "info", f"line {n}", None, timezone.now()) for n in range(20_000)]
    for place in range(0, 20_000, 2_000):
        ingest.copy(ExecutionLog, ingest.LINE, rows[place : place + 2_000])
    since = snapshot()
    log(run, "new")
    ingest.vacuum([ExecutionLog])
    assert "_written" in plan(run, since)
