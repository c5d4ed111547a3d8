"""Expectations over the API: an engine declares those of its workflow, all at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts.models import Expectation
from alerts.scan import scan
from alerts.tests.factories import expect
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db
DAILY = {"kind": "success_every", "seconds": 86_400}
OPENING = {"kind": "starts_by", "time": "09:10", "time_zone": "Asia/Seoul", "days": "weekdays"}


def address(workflow: Workflow) -> str:
    return f"/api/v1/workflows/{workflow.pk}/expectations/"


def put(client: Any, workflow: Workflow, *expectations: object) -> Any:
    return client.put(address(workflow), {"expectations": list(expectations)}, format="json")


def test_expectations_are_replaced_as_a_whole_and_read(engine: Any, workflow: Workflow) -> None:
    others = expect(WorkflowFactory(), "ends_within", seconds=60)
    answer = put(engine, workflow, DAILY, OPENING)
    assert (answer.status_code, answer.json()) == (200, engine.get(address(workflow)).json())
    assert answer.json()["expectations"] == [
        DAILY | {"time": None, "time_zone": "", "days": "", "is_active": True, "missed_since": None},
        OPENING | {"seconds": None, "is_active": True, "missed_since": None},
    ]
    assert [each["kind"] for each in put(engine, workflow, OPENING).json()["expectations"]] == ["starts_by"]
    assert put(engine, workflow).json() == {"expectations": []}
    assert list(Expectation.objects.all()) == [others]


def test_an_expectation_that_is_declared_again_stays_missed(engine: Any, workflow: Workflow) -> None:
    """An engine sends them at each start: that must not let what is missed begin anew."""
    expect(workflow, **DAILY)  # type: ignore[arg-type]  # kind and seconds
    scan()
    (before,) = engine.get(address(workflow)).json()["expectations"]
    assert before["missed_since"] is not None
    shown = put(engine, workflow, OPENING, DAILY).json()["expectations"]
    assert [each["missed_since"] for each in shown if each["kind"] == "success_every"] == [before["missed_since"]]
    assert Expectation.objects.get(kind="success_every").updated_at < timezone.now() - timedelta(days=1)


def test_the_same_one_twice_is_one(engine: Any, workflow: Workflow) -> None:
    assert len(put(engine, workflow, DAILY, DAILY).json()["expectations"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"kind": "sometimes"}, "/expectations/0/kind"),
        ({"kind": "success_every"}, "/expectations/0/seconds"),
        (DAILY | {"seconds": 5}, "/expectations/0/seconds"),
        (DAILY | {"seconds": "5"}, "/expectations/0/seconds"),
        (DAILY | {"days": "weekdays"}, "/expectations/0/days"),
        (OPENING | {"time_zone": "Asia/Atlantis"}, "/expectations/0/time_zone"),
        (OPENING | {"days": "XXXX"}, "/expectations/0/days"),
        (OPENING | {"time": "25:00"}, "/expectations/0/time"),
        (DAILY | {"more": 1}, "/expectations/0/more"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    engine: Any, workflow: Workflow, wrong: dict[str, object], pointer: str
) -> None:
    expect(workflow, "ends_within", seconds=60)
    answer = put(engine, workflow, wrong)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert Expectation.objects.count() == 1


def test_more_than_fifty_are_refused(engine: Any, workflow: Workflow) -> None:
    many = [{"kind": "ends_within", "seconds": 60 + number} for number in range(51)]
    assert put(engine, workflow, *many).status_code == 400
    assert put(engine, workflow, *many[:50]).status_code == 200


def test_a_workflow_in_the_trash_is_not_found(engine: Any, workflow: Workflow) -> None:
    workflow.soft_delete()
    assert engine.get(address(workflow)).status_code == 404
