from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import Func
from django.db.models.functions import Now

from ledgerkit.db.models import AuditedQuerySet, VersionedQuerySet

from .exceptions import HasHistory

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser


def can_view_all(user: "AbstractUser | AnonymousUser", permission: str) -> bool:
    """Return whether the user sees rows of all owners: staff with the view permission. Others see their own."""
    return user.is_active and user.is_staff and user.has_perm(permission)


class _GuardedDelete[M: models.Model](models.QuerySet[M]):
    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows. Raises HasHistory, and deletes nothing, if any of them was executed."""
        with HasHistory.translate_errors(self.model):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's marks for templates and managers
    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's marks for templates and managers


IDS = "(jsonb_path_query(%(expressions)s, '$[*].id') #>> '{}')::uuid"  # of the nodes of a graph


class WorkflowQuerySet(_GuardedDelete[Any], AuditedQuerySet[Any], VersionedQuerySet[Any]):  # type: ignore[override]  # as_manager() of each
    def alive(self) -> "WorkflowQuerySet":
        """Filter by not soft-deleted."""
        return self.filter(deleted_at=None)

    def with_graph(self) -> "WorkflowQuerySet":
        """Prefetch `nodes` and `edges`, without retired nodes."""
        nodes = self.model._meta.get_field("nodes").related_model._default_manager.current()
        return self.prefetch_related(models.Prefetch("nodes", nodes), "edges")

    def visible_to(self, user: Any) -> "WorkflowQuerySet":
        if can_view_all(user, "workflows.view_workflow"):
            return self
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class NodeQuerySet(_GuardedDelete[Any], AuditedQuerySet[Any]):  # type: ignore[override]  # as above
    def current(self) -> "NodeQuerySet":
        """Exclude retired nodes."""
        return self.filter(retired_at=None)

    def with_history(self) -> "NodeQuerySet":
        """Filter by nodes that were executed or are in the graph of a run. Each graph is read once."""
        graphs = self.model._meta.get_field("workflow").related_model._meta.get_field("graphs").related_model
        of_these = graphs._default_manager.using(self.db).filter(workflow__in=self.order_by().values("workflow"))
        held = set(of_these.values_list(Func("nodes", template=IDS, output_field=models.UUIDField()), flat=True))
        return self.filter(models.Q(pk__in=held) | models.Q(executions__isnull=False)).distinct()

    def leave(self) -> None:
        """Remove the nodes from their graphs, with their edges: retire those that a run may refer to, delete the
        others."""
        with transaction.atomic(using=self.db):
            all_of_them, kept = set(_keys(self)), set(_keys(self.with_history()))
            nodes = self.model._default_manager.using(self.db)
            nodes.filter(pk__in=kept).update(retired_at=Now())
            nodes.filter(pk__in=all_of_them - kept).delete()

    leave.alters_data = True  # type: ignore[attr-defined]  # Django's marks for templates and managers


def _keys(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return rows.order_by().values_list("pk", flat=True)
