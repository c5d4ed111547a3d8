"""Lists of the API with filters, as querysets, for tests of their query plans."""

from typing import Any

from rest_framework.test import APIRequestFactory

from executions import sort_keys
from executions.api.filters import WorkflowExecutionFilters
from executions.models import WorkflowExecution
from executions.tests.query_plans import plan
from workflows.tests.factories import UserFactory

AFTER, BEFORE = "2026-03-01", "2026-03-02"
SEVERAL = "workflow={workflow},01900000-0000-7000-8000-000000000000"


def filter_queryset(filters: Any, queryset: Any, query: str) -> Any:
    request = APIRequestFactory().get(f"/?{query}")
    request.user = UserFactory(is_staff=True, is_superuser=True)
    found = filters(data=request.GET, queryset=queryset, request=request)
    assert found.is_valid(), found.errors
    return found.qs


def first_runs(query: str, order: tuple[str, str] = ("-created_at", "-id")) -> str:
    """Return the plan of the first page of the runs with these filters."""
    rows = WorkflowExecution.objects.annotate(by_start=sort_keys.STARTED)
    return plan(filter_queryset(WorkflowExecutionFilters, rows, query).first_of(order, 51))
