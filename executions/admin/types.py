"""Types that the admin's modules share."""

from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import QuerySet

from executions.models import (
    ExecutionLog,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)

type User = AbstractUser | AnonymousUser
type Context = dict[str, Any]  # context of a template
type JSON = dict[str, Any]
type LedgerRow = WorkflowExecution | NodeExecution
type Attempt = WorkflowExecutionAttempt | NodeExecutionAttempt
type Runs = QuerySet[WorkflowExecution]
type Lines = QuerySet[ExecutionLog]
