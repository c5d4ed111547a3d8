"""Named questions to the ledger, and nothing that changes it but one guarded statement."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import models

from workflows.base import VersionedQuerySet
from workflows.querysets import may_see_all

from . import partitions
from .exceptions import ImmutableLog
from .states import ACTIVE, ENDED, ExecutionStatus

if TYPE_CHECKING:
    from .models import ExecutionLog, WorkflowExecution


class ExecutionQuerySet[M: models.Model](VersionedQuerySet[M]):
    def active(self) -> "ExecutionQuerySet[M]":
        return self.filter(status__in=ACTIVE)

    def running(self) -> "ExecutionQuerySet[M]":
        return self.filter(status=ExecutionStatus.RUNNING)

    def failed(self) -> "ExecutionQuerySet[M]":
        return self.filter(status=ExecutionStatus.FAILED)

    def finished(self) -> "ExecutionQuerySet[M]":
        return self.filter(status__in=ENDED)


class WorkflowExecutionQuerySet(ExecutionQuerySet[Any]):
    def visible_to(self, user: Any) -> "WorkflowExecutionQuerySet":
        """Those of workflows that the user owns; every one for staff who may view runs."""
        if may_see_all(user, "executions.view_workflowexecution"):
            return self
        return self.filter(workflow__owner_id=user.pk) if user.pk else self.none()

    def bulk_create(self, objs: "Iterable[WorkflowExecution]", *args: Any, **kwargs: Any) -> "list[WorkflowExecution]":
        objs = list(objs)
        for run in objs:
            run.check_documents()
        return super().bulk_create(objs, *args, **kwargs)

    def without_payload(self) -> "WorkflowExecutionQuerySet":
        """For lists: neither input, output nor context, which may each be megabytes."""
        return self.defer("input_data", "output_data", "context")


class NodeExecutionQuerySet(ExecutionQuerySet[Any]):
    def visible_to(self, user: Any) -> "NodeExecutionQuerySet":
        """Those of runs that the user may see."""
        if may_see_all(user, "executions.view_nodeexecution"):
            return self
        return self.filter(workflow_execution__workflow__owner_id=user.pk) if user.pk else self.none()

    def without_payload(self) -> "NodeExecutionQuerySet":
        """For lists: neither input, output nor traceback."""
        return self.defer("input_data", "output_data", "error_traceback")


class ExecutionLogQuerySet(models.QuerySet["ExecutionLog"]):
    def visible_to(self, user: Any) -> "ExecutionLogQuerySet":
        """Those of runs that the user may see."""
        if may_see_all(user, "executions.view_executionlog"):
            return self
        return self.filter(workflow_execution__workflow__owner_id=user.pk) if user.pk else self.none()

    def newest(self, limit: int) -> "list[ExecutionLog]":
        """The last lines, oldest of them first."""
        return list(self.order_by("-timestamp", "-id")[:limit])[::-1]

    def update(self, **changes: Any) -> int:
        raise ImmutableLog

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: "Iterable[ExecutionLog]", *args: Any, **kwargs: Any) -> "list[ExecutionLog]":
        objs = list(objs)
        for line in objs:
            line.clean_text()
        write = super().bulk_create
        return partitions.writing([line.id for line in objs], self.db, lambda: write(objs, *args, **kwargs))
