"""Querysets of the execution models. `update()` and `bulk_create()` mask secrets, as save() does."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models, transaction
from django.db.models import Case, F, Model, Q, QuerySet, When

from ledgerkit.db import bounded_rows, json_validation, keyset
from ledgerkit.db.keyset import Firsts, Ids, Order
from ledgerkit.db.models import VersionedQuerySet
from ledgerkit.db.plain_rows import Columns
from ledgerkit.page_sizes import PAGE_SIZE
from workflows.models import Node, Workflow
from workflows.querysets import User, can_view_all

from . import audit, error_excerpts, ingest, limits, masking, text_limits, validators
from .exceptions import ImmutableLog
from .states import ACTIVE, ENDED, ExecutionStatus

ORDERS_OF_WORKFLOW = {"created_at", "by_duration"}  # that an index has of the runs of a workflow
NODES_RETRY_CONFIG = "nodes_retry_config"  # annotation of failed rows in lists

if TYPE_CHECKING:
    from .models import Deletion, ExecutionLog, HistoryEntry, NodeExecution, WorkflowExecution  # noqa: F401  # bases below name them as texts
    from .models.attempt import Attempt
    from .models.base import Execution


def _firsts_of_each(
    groups: QuerySet[Model], number_of_groups: int, column: str, orders: Collection[str] = ()
) -> Firsts:
    """Return how the first rows are picked from the first ones of each group (keyset.first_of_each()). If these are
    many, or of one group, or in another order than `orders`, if some are given, the planner chooses."""

    def firsts(rows: QuerySet[Model], order: Order, number: int) -> Ids | None:
        is_other = bool(orders) and order[0].removeprefix("-") not in orders
        if number_of_groups < 2 or number * number_of_groups > limits.MERGED_ROWS or is_other:
            return None
        return keyset.first_of_each(groups, rows, column, order, number)

    return firsts


def are_few(groups: Collection[object]) -> bool:
    """Return whether the first rows of a page are picked from those of each group."""
    return 2 <= len(groups) <= limits.MERGED_ROWS // (PAGE_SIZE + 1)


class GuardedQuerySet[M: Attempt](models.QuerySet[M]):
    """QuerySet of rows that are masked before they are stored."""

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        objs = list(objs)
        masking.mask_rows(objs, self.model.ACT, self.db)
        return super().bulk_create(objs, *args, **kwargs)


class ExecutionQuerySet[M: Execution](VersionedQuerySet[M]):
    RUN: str
    firsts: Firsts | None = None

    def bulk_create(self, objs: Iterable[M], *args: object, **kwargs: object) -> list[M]:
        objs = list(objs)
        for row in objs:
            row.check_documents()
        masking.mask_rows(objs, self.model.ACT, self.db)
        return self._create_masked(objs, *args, **kwargs)

    def _create_masked(self, masked: list[M], *args: Any, **kwargs: Any) -> list[M]:
        return super().bulk_create(masked, *args, **kwargs)

    def update(self, **changes: object) -> int:
        """Update the rows. Texts are masked with the secrets of every run that has a row in the queryset."""
        texts = {name: changes[name] for name in masking.maskable_fields(self.model) & set(changes) if changes[name]}
        for name, value in texts.items():
            if isinstance(self.model._meta.get_field(name), models.JSONField):
                json_validation.check(name, value)
            if name == "metadata":
                texts[name] = changes[name] = validators.with_names(value)
        if texts:
            runs = self.order_by().values_list(self.RUN, flat=True).distinct()
            changes |= masking.mask_for_all_runs(texts, runs, self.db)
        return super().update(**text_limits.with_standard_errors(changes))

    update.alters_data = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods

    def _clone(self) -> Self:
        """Copy `firsts` too. Django has no public hook for attributes of a queryset."""
        clone: Self = super()._clone()  # type: ignore[misc]  # the stubs lack it
        clone.firsts = self.firsts
        return clone

    def first_of(self, order: Order, number: int) -> Self:
        """Return the first `number` rows in this order. `firsts`, if it is set, selects their ids."""
        ids = self.firsts and self.firsts(self, order, number)
        rows = self.order_by(*order)
        return rows[:number] if ids is None else rows.filter(pk__in=ids)[:number]

    def found_by(self, firsts: Firsts | None) -> Self:
        """Return a copy whose first_of() selects ids by this function. With None the planner chooses how."""
        rows = self.all()
        rows.firsts = firsts
        return rows

    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def running(self) -> Self:
        return self.filter(status=ExecutionStatus.RUNNING)

    def failed(self) -> Self:
        return self.filter(status=ExecutionStatus.FAILED)

    def finished(self) -> Self:
        return self.filter(status__in=ENDED)


class WorkflowExecutionQuerySet(ExecutionQuerySet["WorkflowExecution"]):
    RUN = "pk"

    def visible_to(self, user: User) -> "WorkflowExecutionQuerySet":
        """Filter to runs of workflows that the user owns; staff who may view runs see all."""
        if can_view_all(user, "executions.view_workflowexecution"):
            return self
        return self.filter(workflow__owner_id=user.pk) if user.pk else self.none()

    def bulk_create(
        self, objs: "Iterable[WorkflowExecution]", *args: object, **kwargs: object
    ) -> "list[WorkflowExecution]":
        def insert(runs: "list[WorkflowExecution]") -> "list[WorkflowExecution]":
            return self._create_masked(runs, *args, **kwargs)

        return ingest.insert_runs(list(objs), self.db, insert, upsert=bool(kwargs.get("update_conflicts")))

    def found_in(self, parts: Sequence[Q]) -> Self:
        """Return a copy whose first_of() searches each of these parts, which are bounded by the creation. Within a part
        it uses the present `firsts`, if it is set."""
        return self.found_by(partial(keyset.first_of_parts, "created_at", parts, within=self.firsts))

    def of_workflows(self, workflows: Collection[UUID]) -> Self:
        """Filter to runs of these workflows. The first ones are picked from the first runs of each."""
        named = Workflow.objects.filter(pk__in=workflows)
        return self.filter(workflow__in=workflows).found_by(
            _firsts_of_each(named, len(workflows), "workflow", ORDERS_OF_WORKFLOW)
        )

    def without_payload(self, *, errors: bool = True) -> "WorkflowExecutionQuerySet":
        """Defer input, output and context, which may each be megabytes, and select the beginning of an error only."""
        rows = self.defer("input_data", "output_data", "context", "encrypted_secrets")
        return error_excerpts.with_heads(rows, wanted=errors)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the runs. A trigger records who deleted each one, and why (sql/deletions.sql). With a reason, the runs
        are locked first, to mask it."""
        has_note = audit.current().has_text
        with transaction.atomic(using=self.db) if has_note else nullcontext():
            note = audit.current().note(act="delete", **(self._masked_note() if has_note else {}))
            with audit.audit_note(note, self.db):
                return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods
    delete.queryset_only = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods

    def delete_because(self, reason: str) -> int:
        """Delete the runs for a reason that holds no text of users, so that nothing has to be masked. Return their
        number."""
        with audit.audit_note(audit.current().note(act="delete", reason=reason, request_id=""), self.db):
            return super().delete()[0]

    delete_because.alters_data = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods
    delete_because.queryset_only = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods

    def _masked_note(self) -> dict[str, str]:
        """Return the reason and the request id, masked with the secrets of all these runs, which are locked so that
        none is added. If those of a run are unknown, nothing of the texts is kept."""
        pks = list(self.order_by("pk").select_for_update().values_list("pk", flat=True))
        actor = audit.current()
        note: masking.Fields = {"reason": json_validation.to_storable_text(actor.reason), "request_id": actor.given_id}
        clean = masking.mask_or_hide(note, pks, self.db)
        reason = {"reason": text_limits.cut_to_limits("reason", str(clean["reason"]))}
        return reason | {"request_id": str(clean["request_id"])} if actor.given_id else reason


class NodeExecutionQuerySet(ExecutionQuerySet["NodeExecution"]):
    RUN = "workflow_execution"

    def with_run(self) -> "NodeExecutionQuerySet":
        """Read the runs too, without documents: a verb masks texts by the secrets of its run."""
        of_run = (f"workflow_execution__{name}" for name in self._documents_of_run())
        return self.select_related("workflow_execution").defer(*of_run)

    def _documents_of_run(self) -> frozenset[str]:
        return masking.maskable_fields(self.model._meta.get_field("workflow_execution").related_model)

    def of_nodes(self, nodes: Collection[UUID]) -> Self:
        """Filter to rows of these nodes. The first ones are picked from the first rows of each. To a list of ids beside
        the condition of one node the planner would give the share of both, and expect hardly any row."""
        named = Node.objects.filter(pk__in=nodes)
        rows = self.filter(node__in=named if are_few(nodes) else nodes)
        return rows.found_by(_firsts_of_each(named, len(nodes), "node"))

    def visible_to(self, user: User) -> "NodeExecutionQuerySet":
        """Filter to rows of runs that the user may see."""
        if can_view_all(user, "executions.view_nodeexecution"):
            return self
        return self.filter(workflow_execution__workflow__owner_id=user.pk) if user.pk else self.none()

    def without_payload(self, *, errors: bool = True) -> "NodeExecutionQuerySet":
        """Defer input, output and traceback, and select the beginning of an error only."""
        rows = self.defer("input_data", "output_data", "error_traceback")
        return error_excerpts.with_heads(rows, wanted=errors)

    def for_lists(self, *, errors: bool = True) -> "NodeExecutionQuerySet":
        """Annotate how often a failed node execution may be retried, without payloads and without nodes: building a
        Node for each row would cost as much as building the rows."""
        failed = Case(When(status=ExecutionStatus.FAILED, then=F("node__retry_config")))
        rows: NodeExecutionQuerySet = self.without_payload(errors=errors).annotate(**{NODES_RETRY_CONFIG: failed})
        return rows


class ExecutionLogQuerySet(models.QuerySet["ExecutionLog"]):
    def visible_to(self, user: User) -> "ExecutionLogQuerySet":
        """Filter to rows of runs that the user may see."""
        if can_view_all(user, "executions.view_executionlog"):
            return self
        return self.filter(workflow_execution__workflow__owner_id=user.pk) if user.pk else self.none()

    def newest(self, limit: int) -> list[Columns]:
        """Return the columns of the last lines, the oldest first; fewer than `limit` if they are large."""
        lines, _is_cut = bounded_rows.read(bounded_rows.columns(self).order_by("-timestamp", "-id")[:limit])
        return lines.columns()[::-1]

    def update(self, **changes: object) -> int:
        raise ImmutableLog

    update.alters_data = True  # type: ignore[attr-defined]  # the stubs type neither Django's marks nor the rows' own methods

    def bulk_create(self, objs: "Iterable[ExecutionLog]", *args: Any, **kwargs: Any) -> "list[ExecutionLog]":
        write = super().bulk_create
        return ingest.insert_lines(list(objs), self.db, lambda lines: write(lines, *args, **kwargs))


class DeletionQuerySet(models.QuerySet["Deletion"]):
    def visible_to(self, user: User) -> "DeletionQuerySet":
        """Return all deletions for staff who may view them, else none: the owner of a deleted run is no longer
        known."""
        return self if can_view_all(user, "executions.view_deletion") else self.none()


class HistoryQuerySet(models.QuerySet["HistoryEntry"]):
    def visible_to(self, user: User) -> "HistoryQuerySet":
        """Filter to the history of runs that the user may see, with entries of node executions only for users who may
        see these."""
        if user.pk is None:
            return self.none()
        own = models.Q(workflow_execution__workflow__owner_id=user.pk)
        entries = self if can_view_all(user, "executions.view_workflowexecution") else self.filter(own)
        if can_view_all(user, "executions.view_nodeexecution"):
            return entries
        return entries.filter(own | models.Q(node_execution=None))


def can_see_nodes_and_logs(user: User, run: "WorkflowExecution") -> tuple[bool, bool]:
    """Return whether the user, who may see the run, may see its node executions, and its log lines."""
    owner = run.workflow.owner_id
    return can_see(user, "nodeexecution", owner), can_see(user, "executionlog", owner)


def can_see(user: User, model: str, owner: object) -> bool:
    """Return whether the user may see the rows of `model` (such as "nodeexecution") that belong to a workflow of
    `owner`. Used wherever a row is shown beside rows of another model."""
    return owner == user.pk or can_view_all(user, f"executions.view_{model}")
