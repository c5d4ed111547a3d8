"""Rules alert of new groups of errors and of those that came back, once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Alert
from alerts.scan import scan
from alerts.tests.factories import rule_for
from executions.error_groups import group_changes
from executions.error_groups import scan as failures
from executions.models import ErrorGroup
from executions.tests.error_groups.test_recording import failed_run
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db(transaction=True)  # a scan reads what is committed


@pytest.fixture(autouse=True)
def first_scan(transactional_db: None) -> None:
    failures.scan()
    scan()


def fails(workflow: Workflow, message: str = "no prices") -> None:
    failed_run(workflow, message)
    failures.scan()
    scan()


def test_a_new_error_is_told_once_however_often_it_happens(workflow: Workflow) -> None:
    rule_for("new_error")
    fails(workflow)
    fails(workflow)
    alert = Alert.objects.get()
    group = ErrorGroup.objects.get()
    assert (alert.kind, alert.workflow, alert.facts["error_message"]) == ("new_error", workflow, "no prices")
    assert alert.facts["url"] == f"/admin/executions/errorgroup/{group.pk}/change/"


def test_an_error_that_comes_back_is_another_kind(workflow: Workflow) -> None:
    rule_for("new_error", "error_regression")
    fails(workflow)
    group_changes.change(ErrorGroup.objects.get(), state="resolved")
    fails(workflow)
    fails(workflow)
    assert list(Alert.objects.order_by("created_at", "id").values_list("kind", flat=True)) == [
        "new_error",
        "error_regression",
    ]


def test_a_group_that_was_split_off_is_no_news(workflow: Workflow) -> None:
    fails(workflow)
    fails(WorkflowFactory(owner=workflow.owner))
    group = ErrorGroup.objects.get()
    rule_for("new_error")
    group_changes.split(group, [group.fingerprints.values_list("pk", flat=True)[0]])
    ErrorGroup.objects.filter(pk=group.pk).update(opened_at=timezone.now() - timedelta(hours=1))
    scan()
    assert not Alert.objects.exists()


def test_a_rule_of_an_owner_is_about_their_workflows_alone(workflow: Workflow) -> None:
    other = WorkflowFactory(owner=UserFactory())
    rule_for("new_error", owner=other.owner)
    fails(workflow)
    fails(other)
    assert list(Alert.objects.values_list("workflow", flat=True)) == [other.pk]
