"""Types that the admin's modules share."""

from typing import Any

from django.db.models import QuerySet

from executions.models import (
    ExecutionLog,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from ledgerkit.types import Context
from workflows.querysets import User

__all__ = ["JSON", "Attempt", "Context", "LedgerRow", "Lines", "Runs", "User"]

type JSON = dict[str, Any]
type LedgerRow = WorkflowExecution | NodeExecution
type Attempt = WorkflowExecutionAttempt | NodeExecutionAttempt
type Runs = QuerySet[WorkflowExecution]
type Lines = QuerySet[ExecutionLog]
