"""Figures of ended runs from closed hours and the rest: the same as counting every run, whatever happened meanwhile."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import quantiles
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from executions import rollups
from executions.models import RollupChange, RollupPeriod, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.upkeep.old_rows import days_ago
from executions.upkeep import rollups as task
from executions.upkeep import run_retention
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

HOUR = timedelta(hours=1)
ERROR = 0.0201  # of a duration from closed hours, and what floats add


@pytest.fixture
def everyone(transactional_db: None) -> Any:
    """Return staff who see every run."""
    return UserFactory(is_staff=True, is_superuser=True)


@pytest.fixture
def workflow(transactional_db: None) -> Workflow:
    return WorkflowFactory()


def imported(
    workflow: Workflow, ended_at: datetime, status: str = "completed", seconds: float = 1
) -> WorkflowExecution:
    """Insert a run of the past, as an importer does."""
    began = ended_at - timedelta(seconds=seconds)
    run = WorkflowExecution(
        workflow=workflow, trigger_type="manual", status=status, created_at=began, started_at=began, ended_at=ended_at
    )
    return WorkflowExecution.objects.bulk_create([run])[0]


def close() -> int:
    return task.apply(lambda _done, _expected: None).rows


def hours_ago(number: float) -> datetime:
    return timezone.now() - number * HOUR


def closed_hours() -> int:
    return RollupPeriod.objects.filter(is_closed=True).count()


# --- the exact answers ------------------------------------------------------
def exact_counts(user: Any, bounds: list[datetime]) -> Counter[tuple[UUID, int, str]]:
    ends = [*bounds[1:-1], datetime.max.replace(tzinfo=UTC)]
    found: Counter[tuple[UUID, int, str]] = Counter()
    runs = WorkflowExecution.objects.visible_to(user).filter(ended_at__gte=bounds[0])
    for workflow, status, ended_at in runs.values_list("workflow", "status", "ended_at"):
        place = next(place for place, end in enumerate(ends, 1) if ended_at and ended_at < end)
        found[workflow, place, "ended"] += 1
        found[workflow, place, status] += status in {"completed", "failed"}
    return +found


def counts(user: Any, bounds: list[datetime]) -> Counter[tuple[UUID, int, str]]:
    found: Counter[tuple[UUID, int, str]] = Counter()
    for each in rollups.count_of_busiest(user, bounds, most=100):
        assert each.workflow
        for name in ("completed", "failed", "ended"):
            found[each.workflow, each.place, name] = getattr(each, name)
    return +found


def exact_durations(since: datetime) -> dict[UUID, list[float]]:
    runs = WorkflowExecution.objects.filter(ended_at__gte=since, status="completed")
    found: dict[UUID, list[float]] = {}
    for run in runs:
        assert run.started_at
        assert run.ended_at
        found.setdefault(run.workflow_id, []).append((run.ended_at - run.started_at).total_seconds())
    return found


def check(user: Any) -> None:
    """Compare every figure with the exact one."""
    now = timezone.now()
    for bounds in (rollups.hours_until(now, 24), rollups.days_until(now, 7)):
        exact = exact_counts(user, bounds)
        assert counts(user, bounds) == exact
        places = {each.place: each for each in rollups.count_by_period(user, bounds)}
        for name in ("completed", "failed", "ended"):
            by_place: Counter[int] = Counter()
            for (_workflow, place, status), number in exact.items():
                by_place[place] += number * (status == name)
            assert {place: getattr(each, name) for place, each in places.items() if getattr(each, name)} == +by_place
    check_durations(now - timedelta(days=7))


def check_durations(since: datetime) -> None:
    exact, found = exact_durations(since), {each.workflow: each for each in rollups.usual_durations(since, 2)}
    assert {pk: len(seconds) for pk, seconds in exact.items() if len(seconds) > 1} == {
        pk: each.completed for pk, each in found.items()
    }
    for pk, each in found.items():
        ranks = quantiles(exact[pk], n=20, method="inclusive")  # as percentile_cont()
        assert each.p50 == pytest.approx(ranks[9], rel=ERROR, abs=0.001)
        assert each.p95 == pytest.approx(ranks[18], rel=ERROR, abs=0.001)


# --- random traffic ---------------------------------------------------------
class Traffic:
    """Random acts on a ledger, of which many change what had ended before."""

    def __init__(self, seed: int, workflows: list[Workflow]) -> None:
        self.random = Random(seed)
        self.workflows = workflows

    def act(self) -> None:
        self.random.choice((
            self.end, self.end, self.bring, self.bring, self.bring, self.cancel, self.retry, self.delete, self.move,
            self.undo, close,
        ))()  # fmt: skip

    def end(self) -> None:
        in_state(WorkflowExecutionFactory(workflow=self.workflow), self.random.choice(("completed", "failed")))

    def bring(self) -> None:
        for _ in range(self.random.randrange(1, 5)):
            status = self.random.choice(("completed", "completed", "failed", "cancelled"))
            imported(self.workflow, self.moment, status, self.random.lognormvariate(1, 3))

    def cancel(self) -> None:
        WorkflowExecutionFactory(workflow=self.workflow).cancel()

    def retry(self) -> None:
        if failed := self.some(status="failed"):
            failed.retry()
            failed.cancel()

    def delete(self) -> None:
        if run := self.some():
            WorkflowExecution.objects.filter(pk=run.pk).delete()

    def move(self) -> None:
        if run := self.some(status="completed"):
            moment = self.moment
            WorkflowExecution.objects.filter(pk=run.pk).update(
                started_at=moment, ended_at=moment + timedelta(seconds=9)
            )

    def undo(self) -> None:
        """Do something in a savepoint that is rolled back, and then something else."""
        with transaction.atomic():
            with suppress(UndoneError), transaction.atomic():
                self.bring()
                raise UndoneError
            self.bring()

    @property
    def workflow(self) -> Workflow:
        return self.random.choice(self.workflows)

    @property
    def moment(self) -> datetime:
        return days_ago(self.random.choice((self.random.random() * 0.2, self.random.random() * 9)))

    def some(self, **which: Any) -> WorkflowExecution | None:
        runs = list(WorkflowExecution.objects.filter(**which).order_by("pk"))
        return self.random.choice(runs) if runs else None


class UndoneError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_figures_are_exact_after_random_traffic_and_after_retention(everyone: Any, seed: int) -> None:
    owner = UserFactory()
    traffic = Traffic(seed, [WorkflowFactory(), WorkflowFactory(owner=owner), WorkflowFactory(owner=owner)])
    for _ in range(10):
        for _ in range(4):
            traffic.act()
        check(everyone)
        check_durations(hours_ago(30))
    close()
    check(everyone)
    assert counts(owner, bounds := rollups.days_until(timezone.now(), 7)) == exact_counts(owner, bounds)
    Workflow.objects.update(config={"retention_days": 3, "failed_retention_days": 5})
    before = WorkflowExecution.objects.count()
    run_retention.apply(lambda _done, _expected: None)
    assert WorkflowExecution.objects.count() < before
    check(everyone)
    close()
    check(everyone)


# --- what is read and what is counted ---------------------------------------
def test_a_closed_hour_is_not_counted_again(everyone: Any, workflow: Workflow) -> None:
    imported(workflow, hours_ago(30))
    close()
    assert closed_hours() > 8 * 24  # hours, and days of them
    with connection.cursor() as cursor:
        cursor.execute("UPDATE rollup_results SET completed = completed + 6, ended = ended + 6")
    assert [each.completed for each in rollups.count_of_workflows(everyone, days(), [workflow.pk])] == [7]


def days() -> list[datetime]:
    return rollups.days_until(timezone.now(), 7)


def test_a_run_that_ends_now_writes_nothing_about_its_hour(workflow: Workflow) -> None:
    in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
    in_state(WorkflowExecutionFactory(workflow=workflow), "failed").retry()
    assert not RollupChange.objects.exists()


def test_a_run_older_than_the_counted_period_changes_no_rollup(workflow: Workflow) -> None:
    old = imported(workflow, days_ago(10))
    WorkflowExecution.objects.filter(pk=old.pk).delete()
    assert not RollupChange.objects.exists()


def test_many_late_runs_of_a_call_are_one_change_of_their_hour(workflow: Workflow) -> None:
    moment = hours_ago(5).replace(minute=0)
    with transaction.atomic():
        for minute in range(20):
            imported(workflow, moment + timedelta(minutes=minute))
    assert RollupChange.objects.count() == 1


def test_a_change_that_is_not_a_result_changes_no_hour(workflow: Workflow) -> None:
    run = imported(workflow, hours_ago(5))
    close()
    WorkflowExecution.objects.filter(pk=run.pk).update(output_data={"rows": 1})
    assert not RollupChange.objects.exists()


def test_an_emptied_ledger_has_no_figures(everyone: Any, workflow: Workflow) -> None:
    imported(workflow, hours_ago(5))
    close()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE workflow_executions CASCADE")
    assert closed_hours() == 0
    assert rollups.count_by_period(everyone, days()) == []


def test_durations_within_an_hour_that_is_open_are_exact(workflow: Workflow) -> None:
    now = timezone.now()
    for seconds in range(1, 22):
        imported(workflow, now, seconds=seconds)
    [found] = rollups.usual_durations(now - HOUR, 1)
    assert (found.completed, found.p50, found.p95) == (21, 11, 20)


def test_for_what_is_usual_no_runs_but_those_of_the_current_hour_are_read(everyone: Any) -> None:
    close()
    since = rollups.usual_since()
    assert timedelta() <= timezone.now() - timedelta(days=rollups.USUAL_DAYS) - since < HOUR
    with connection.cursor() as cursor:
        cursor.execute("SELECT start - hour_of(now()) FROM periods_since(%s, '1 day') WHERE id IS NULL", [since])
        assert cursor.fetchall() == [(timedelta(),)]


# --- at the same time -------------------------------------------------------
@contextmanager
def other_transaction(act: Any) -> Iterator[Any]:
    """Act in a transaction of another connection. It is committed when the block calls what it was given."""
    acted, go_on = Event(), Event()

    def work() -> None:
        try:
            with transaction.atomic():
                act()
                acted.set()
                go_on.wait(120)
        finally:
            acted.set()
            connection.close()

    thread = Thread(target=work)
    thread.start()

    def commit() -> None:
        go_on.set()
        thread.join()

    assert acted.wait(120)
    try:
        yield commit
    finally:
        commit()


def test_an_hour_is_not_closed_before_those_who_wrote_in_it_have_committed(everyone: Any, workflow: Workflow) -> None:
    # The triggers are off: so it is with a run that ended while its hour was the current one.
    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
        imported(workflow, hours_ago(3))

    with other_transaction(end) as commit:
        assert close() == 0
        commit()
    assert close() > 0
    check(everyone)


def test_a_late_run_that_commits_after_its_hour_was_closed_again_counts(everyone: Any, workflow: Workflow) -> None:
    moment = hours_ago(3)
    imported(workflow, moment)
    close()
    with other_transaction(lambda: imported(workflow, moment)) as commit:
        imported(workflow, moment, "failed")
        assert close() == 1
        commit()
    check(everyone)


def test_one_closes_at_a_time(workflow: Workflow) -> None:
    imported(workflow, hours_ago(3))
    rollups.close_hours(0)
    with transaction.atomic():
        assert rollups.close_hours(5) == 5
        found: list[int] = []
        thread = Thread(target=lambda: (found.append(rollups.close_hours(5)), connection.close()))
        thread.start()
        thread.join()
    assert found == [0]


def test_hours_that_could_be_seen_too_early_are_not(workflow: Workflow) -> None:
    with transaction.atomic():
        imported(workflow, hours_ago(3))  # the transaction has an id, perhaps from before an hour was over
        rollups.close_hours(0)
    assert not RollupPeriod.objects.exists()


@pytest.mark.django_db
def test_durations_are_added_up_in_float8() -> None:
    """Sums of bigint are numeric, which takes longer, and a number of runs is exact in both."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('usual_durations(timestamptz, uuid[])'::regprocedure)")
        (definition,) = cursor.fetchone()
    assert "sum(number)::float8" in definition
    assert "::bigint AS number" not in definition


def test_bounds_are_hours_of_the_clock() -> None:
    now = datetime(2026, 3, 8, 16, 30, tzinfo=UTC)
    hours, days = rollups.hours_until(now, 24), rollups.days_until(now, 7)
    assert (len(hours), hours[0], hours[-1]) == (26, now - timedelta(days=1), datetime(2026, 3, 8, 17, tzinfo=UTC))
    assert {later - sooner for sooner, later in pairwise(hours[1:])} == {HOUR}
    assert (len(days), days[0], days[-1]) == (8, now - timedelta(days=7), datetime(2026, 3, 8, 17, tzinfo=UTC))
    assert {later - sooner for sooner, later in pairwise(days[1:-1])} == {24 * HOUR}
