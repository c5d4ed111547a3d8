"""Every refusal has its row in one table, and nothing unexpected shows its inside."""

import inspect
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import OperationalError
from django.test import Client

from executions import exceptions
from executions.api import errors
from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from workflows.models import Workflow

REFUSALS = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if kind.__name__ in exceptions.__all__]


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_of_the_ledger_has_its_own_code(kind: Any) -> None:
    found = [code for mapped, _status, code in errors.DOMAIN if issubclass(kind, mapped)]
    assert found
    assert [mapped for mapped, *_ in errors.DOMAIN].count(kind) == 1


@pytest.mark.parametrize(("error", "status"), [(ObjectDoesNotExist(), 404), (OperationalError("timeout"), 503)])
def test_what_happens_between_reading_and_moving_is_no_500(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: Any, error: Exception, status: int
) -> None:
    def fail(self: WorkflowExecution) -> None:
        raise error

    run = WorkflowExecutionFactory(workflow=workflow)
    monkeypatch.setattr(WorkflowExecution, "start", fail)
    answer = api(owner).post(f"/api/v1/executions/{run.pk}/start/", {}, format="json")
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/", "application/problem+json"), ("/admin/", "text/html")])
def test_a_fault_of_ours_is_a_500_that_shows_nothing(db: None, monkeypatch: Any, path: str, kind: str) -> None:
    def break_down(*_: Any) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("rest_framework.views.APIView.initial", break_down)
    monkeypatch.setattr("django.contrib.admin.sites.AdminSite.has_permission", break_down)
    answer = Client(raise_request_exception=False).get(path)
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (500, kind)
    assert b"a secret of ours" not in answer.content
