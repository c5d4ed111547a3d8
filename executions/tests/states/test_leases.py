"""Leases of attempts: a worker extends its own, and one that was replaced changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from executions.exceptions import FencedExecution, InvalidTransition
from executions.models import ErrorCode, NodeExecution, WorkflowExecution
from executions.tests.acceptance import fresh
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable

pytestmark = pytest.mark.django_db

type Row = WorkflowExecution | NodeExecution
type Started = Callable[..., tuple[Any, UUID]]


@pytest.fixture(params=[WorkflowExecutionFactory, NodeExecutionFactory])
def started(request: Any) -> Started:
    """Return a function that starts a new row under a lease, and returns it with its token."""

    def start(**terms: Any) -> tuple[Any, UUID]:
        row = startable(request.param())
        token = row.start(**terms or {"worker": "worker-3", "lease_seconds": 60})
        return row, token

    return start


def lease_of(row: Row) -> Any:
    return row.leases_of_attempts().get(attempt=row.attempt)


def test_a_start_without_worker_and_lease_has_no_token(started: Started) -> None:
    row = startable(WorkflowExecutionFactory())
    assert row.start() is None
    assert not row.leases_of_attempts().exists()


def test_a_start_names_the_worker_and_the_end_of_its_lease(started: Started) -> None:
    row, token = started()
    lease = lease_of(row)
    assert (lease.token, lease.worker, lease.seconds, row.status) == (token, "worker-3", 60, "running")
    assert abs(lease.expires_at - timezone.now() - timedelta(seconds=60)) < timedelta(seconds=30)


def test_a_worker_without_a_lease_is_named_and_never_expires(started: Started) -> None:
    row, _token = started(worker="worker-3")
    assert (lease_of(row).worker, lease_of(row).expires_at) == ("worker-3", None)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"lease_seconds": 86_401}, "lease_seconds"),
        ({"worker": "w" * 201}, "worker"),
        ({"worker": "two\nlines"}, "worker"),
    ],
)
def test_terms_that_no_lease_has_are_refused_and_nothing_starts(terms: Any, field: str) -> None:
    row = WorkflowExecutionFactory()
    with pytest.raises(ValidationError) as refused:
        row.start(**terms)
    assert list(refused.value.message_dict) == [field]
    assert fresh(row).status == "pending"


def test_a_heartbeat_extends_the_lease_and_nothing_else(started: Started) -> None:
    row, token = started()
    row.leases_of_attempts().update(heartbeat_at=timezone.now() - timedelta(seconds=50))
    before = fresh(row)
    lease = row.heartbeat(token)
    assert timezone.now() - lease.heartbeat_at < timedelta(seconds=30)
    assert (fresh(row).version, fresh(row).updated_at) == (before.version, before.updated_at)
    assert row.heartbeat(token, 600).expires_at > timezone.now() + timedelta(seconds=500)
    assert lease_of(row).seconds == 600


def test_a_heartbeat_of_an_attempt_that_has_ended_is_refused(started: Started) -> None:
    row, token = started()
    row.complete(token=token)
    with pytest.raises(InvalidTransition, match="Cannot extend the lease of execution in completed state") as refused:
        row.heartbeat(token)
    assert type(refused.value) is InvalidTransition


def test_the_worker_of_the_attempt_reports_with_its_token(started: Started) -> None:
    row, token = started()
    row.complete({"rows": 3}, token=token)
    assert (fresh(row).status, fresh(row).output_data) == ("completed", {"rows": 3})


def test_a_worker_whose_attempt_was_retried_elsewhere_changes_nothing(started: Started) -> None:
    row, old = started()
    zombie = fresh(row)
    row.fail("broke")
    row.retry()
    row = fresh(row)
    new = startable(row).start(worker="worker-4", lease_seconds=60)
    assert new != old
    for report in (
        lambda: zombie.complete({"late": 1}, token=old),
        lambda: fresh(row).complete({"late": 1}, token=old),
        lambda: fresh(row).fail("late", token=old),
        lambda: fresh(row).heartbeat(old),
    ):
        with pytest.raises(FencedExecution, match="the token is of attempt 1 and the row is at attempt 2"):
            report()
    assert (fresh(row).status, fresh(row).output_data) == ("running", None)
    fresh(row).complete({"right": 1}, token=new)
    assert fresh(row).output_data == {"right": 1}


def test_a_token_that_was_never_given_is_refused(started: Started) -> None:
    row, _token = started()
    with pytest.raises(FencedExecution, match="the token belongs to no attempt of this row"):
        row.complete(token=uuid4())
    assert fresh(row).status == "running"


def test_an_attempt_that_was_ended_for_its_lease_is_fenced_before_any_retry(started: Started) -> None:
    row, token = started()
    row.leases_of_attempts().update(lapsed_at=timezone.now())
    fresh(row).fail_overdue(ErrorCode.LEASE_EXPIRED, "silent")
    for report in (lambda: row.complete(token=token), lambda: row.heartbeat(token)):
        with pytest.raises(FencedExecution, match="the lease of this attempt expired") as refused:
            report()
        assert refused.value.state == "failed"


def test_operators_need_no_token(started: Started) -> None:
    row, _token = started()
    row.cancel()
    assert fresh(row).status == "cancelled"


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_the_code_of_a_failure_goes_with_its_attempt(factory: Any) -> None:
    row = in_state(factory(), "running")
    row.fail_overdue(ErrorCode.TIMED_OUT, "too long")
    assert (row.error_code, fresh(row).error_code) == ("timed_out", "timed_out")
    row.retry()
    assert (row.error_code, fresh(row).error_code) == ("", "")
    assert row.attempts.get().error_code == "timed_out"


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_failure_that_is_reported_has_no_code(factory: Any) -> None:
    assert fresh(in_state(factory(), "failed")).error_code == ""
