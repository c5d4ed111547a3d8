from typing import TYPE_CHECKING
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.db.models import Func
from django.db.models.functions import Now

from ledgerkit.db.models import AuditedQuerySet, VersionedQuerySet

from .exceptions import HasHistory

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser

    from .models import Node, Workflow  # noqa: F401  # the base classes below name them in quotes

type User = AbstractUser | AnonymousUser


def can_view_all(user: User, permission: str) -> bool:
    """Return whether the user sees rows of all owners, as staff with the view permission. Other users see their own."""
    return user.is_active and user.is_staff and user.has_perm(permission)


class _GuardedDelete[M: models.Model](models.QuerySet[M]):
    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows. Raises HasHistory, and deletes nothing, if any of them was executed."""
        with HasHistory.translate_errors(self.model):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's marks for templates and managers
    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's marks for templates and managers


IDS = "(jsonb_path_query(%(expressions)s, '$[*].id') #>> '{}')::uuid"  # ids of the nodes of a graph


class WorkflowQuerySet(_GuardedDelete["Workflow"], AuditedQuerySet["Workflow"], VersionedQuerySet["Workflow"]):  # type: ignore[override, misc]  # methods of each
    def alive(self) -> "WorkflowQuerySet":
        """Filter by not soft-deleted."""
        return self.filter(deleted_at=None)

    def with_graph(self) -> "WorkflowQuerySet":
        """Prefetch `nodes` and `edges`, without retired nodes."""
        nodes = NodeQuerySet(apps.get_model("workflows.Node")).current()
        return self.prefetch_related(models.Prefetch("nodes", nodes), "edges")

    def visible_to(self, user: User) -> "WorkflowQuerySet":
        if can_view_all(user, "workflows.view_workflow"):
            return self
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class NodeQuerySet(_GuardedDelete["Node"], AuditedQuerySet["Node"]):  # type: ignore[override]  # as above
    def current(self) -> "NodeQuerySet":
        """Exclude retired nodes."""
        return self.filter(retired_at=None)

    def with_history(self) -> "NodeQuerySet":
        """Filter by nodes that were executed or are in the graph of a run. Each graph is read once."""
        graphs = apps.get_model("workflows.Graph")
        of_these = graphs._default_manager.using(self.db).filter(workflow__in=self.order_by().values("workflow"))
        held = set(of_these.values_list(Func("nodes", template=IDS, output_field=models.UUIDField()), flat=True))
        return self.filter(models.Q(pk__in=held) | models.Q(executions__isnull=False)).distinct()

    def leave(self) -> None:
        """Remove the nodes from their graphs, with their edges. Retire nodes that a run may refer to, delete the
        others."""
        with transaction.atomic(using=self.db):
            all_of_them, kept = set(_keys(self)), set(_keys(self.with_history()))
            nodes = self.model._default_manager.using(self.db)
            nodes.filter(pk__in=kept).update(retired_at=Now())
            nodes.filter(pk__in=all_of_them - kept).delete()

    leave.alters_data = True  # type: ignore[attr-defined]  # Django's marks for templates and managers


def _keys(rows: NodeQuerySet) -> models.QuerySet["Node", UUID]:
    return rows.order_by().values_list("pk", flat=True)
