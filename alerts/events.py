"""Events of rules, made of what a scan finds."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import missed_expectations
from alerts.ended_attempts import EndedAttempt
from alerts.missed_expectations import Missed
from alerts.models import AlertKind, Expectation, ExpectationKind, Outcome
from alerts.monitor_notices import describe_missed
from alerts.rules import Event, facts_of, page
from executions import attention
from executions.models import UpkeepRun, WorkflowExecution
from executions.upkeep import last_upkeep
from ledgerkit.time_zones import clock_with_zone
from workflows.models import Workflow

RUN_PAGE, WORKFLOW_PAGE = "executions_workflowexecution_change", "workflows_workflow_page"
# Runs that ended longer ago when the ledger hears of them are no news: they are imported or restored.
OLD = timedelta(days=1)


def events_of_step(step: list[EndedAttempt], workflows: dict[UUID, Workflow], now: datetime) -> Iterator[Event]:
    """Yield the events of attempts that ended, in the order in which they did. Store the outcome of each workflow."""
    outcomes = dict(Outcome.objects.filter(workflow__in=workflows.values()).values_list("workflow", "has_failed"))
    late = _limits(workflows)
    for ended in step:
        if ended.workflow not in workflows or ended.ended_at is None or ended.ended_at < now - OLD:
            continue
        workflow = workflows[ended.workflow]
        yield from _outcome(ended, workflow, outcomes.get(ended.workflow))
        yield from _too_long(ended, workflow, late.get(ended.workflow))
        outcomes[ended.workflow] = ended.has_failed
    rows = [Outcome(workflow_id=pk, has_failed=has_failed) for pk, has_failed in outcomes.items()]
    Outcome.objects.bulk_create(rows, update_conflicts=True, unique_fields=["workflow"], update_fields=["has_failed"])


def _outcome(ended: EndedAttempt, workflow: Workflow, failed_before: bool | None) -> Iterator[Event]:
    if ended.has_failed:
        first = () if failed_before else (AlertKind.FIRST_FAILURE,)
        yield _event(ended, workflow, (*first, AlertKind.FAILURE), _("A run failed."))
    elif failed_before:
        yield _event(ended, workflow, (AlertKind.RECOVERY,), _("A run completed again after a failure."))


def _too_long(ended: EndedAttempt, workflow: Workflow, limit: timedelta | None) -> Iterator[Event]:
    """Yield an event if the attempt ended too late. One that a scan found while it ran has the same occurrence."""
    if limit is not None and ended.started_at and ended.ended_at and ended.ended_at - ended.started_at > limit:
        yield _event(ended, workflow, (AlertKind.LATE,), _("A run took longer than expected."), "end ")


def _event(
    ended: EndedAttempt, workflow: Workflow, kinds: tuple[AlertKind, ...], sentence: str, prefix: str = ""
) -> Event:
    facts = facts_of(
        workflow, sentence, page(RUN_PAGE, ended.run), run_id=str(ended.run), attempt=ended.attempt,
        status=ended.status, started_at=_text(ended.started_at), ended_at=_text(ended.ended_at),
        error_message=ended.error_message,
    )  # fmt: skip
    return Event(kinds, f"{prefix}{ended.run} {ended.attempt}", workflow, facts)


def event_of_missed(found: Missed) -> Event:
    expectation = found.expectation
    is_late = expectation.kind == ExpectationKind.ENDS_WITHIN
    zone = expectation.zone if expectation.time_zone else timezone.get_default_timezone()
    what = describe_missed(expectation, found.occurrence, clock_with_zone(found.since, zone))
    sentence = f"{what} {expectation}"
    address = page(RUN_PAGE, found.run) if found.run else page(WORKFLOW_PAGE, expectation.workflow_id)
    facts = facts_of(
        expectation.workflow, sentence, address, expectation_id=str(expectation.pk), missed_since=_text(found.since),
        **({"run_id": str(found.run)} if found.run else {}),
    )  # fmt: skip
    occurrence = found.occurrence if is_late else f"{expectation.pk} {found.occurrence}"
    return Event((AlertKind.LATE if is_late else AlertKind.MISSING,), occurrence, expectation.workflow, facts)


def runs_over_time(now: datetime) -> Iterator[Event]:
    """Yield an event for each running run that exceeds the time of an expectation "ends within"."""
    for expectation in Expectation.objects.current().filter(kind=ExpectationKind.ENDS_WITHIN):
        yield from map(event_of_missed, missed_expectations.runs_over_time(expectation, now))


def late_runs() -> Iterator[Event]:
    """Yield an event for each running run that takes much longer than is usual for its workflow."""
    runs = WorkflowExecution.objects.filter(attention.run_condition("late")).select_related("workflow").order_by()
    for run in runs.only("attempt", "started_at", "status", "workflow"):
        facts = facts_of(
            run.workflow, _("A run takes longer than usual."), page(RUN_PAGE, run.pk), run_id=str(run.pk),
            attempt=run.attempt, status=run.status, started_at=_text(run.started_at),
        )  # fmt: skip
        yield Event((AlertKind.LATE,), f"late {run.pk} {run.attempt}", run.workflow, facts)


def unstarted_runs() -> Iterator[Event]:
    """Yield an event for each queued run that is not started although its turn has come."""
    runs = WorkflowExecution.objects.filter(attention.run_condition("unstarted")).select_related("workflow").order_by()
    for run in runs.only("attempt", "status", "workflow"):
        facts = facts_of(
            run.workflow, _("It is the turn of a queued run, and no engine has started it."), page(RUN_PAGE, run.pk),
            run_id=str(run.pk), attempt=run.attempt, status=run.status,
        )  # fmt: skip
        yield Event((AlertKind.LATE,), f"unstarted {run.pk} {run.attempt}", run.workflow, facts)


def upkeep_event() -> Iterator[Event]:
    """Yield an event if upkeep has not run for UPKEEP_LATE_SECONDS, the same until it runs."""
    if last_upkeep.is_late():
        last = UpkeepRun.objects.exclude(ended_at=None).values_list("ended_at", flat=True).first()
        since = {"since": clock_with_zone(last, timezone.get_default_timezone())} if last else {}
        sentence = _("Upkeep has not run since %(since)s.") % since if last else _("Upkeep has never run.")
        facts = facts_of(None, sentence, page("executions_upkeeprun_changelist"))
        yield Event((AlertKind.UPKEEP_SILENT,), f"upkeep {last}", None, facts)


def _limits(workflows: dict[UUID, Workflow]) -> dict[UUID, timedelta]:
    """Return the shortest time within which runs of each workflow should end."""
    rows = Expectation.objects.current().filter(kind=ExpectationKind.ENDS_WITHIN, workflow__in=workflows.values())
    return {row.workflow_id: row.duration for row in rows.order_by("-seconds")}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
