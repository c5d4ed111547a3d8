from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models.functions import Now

from .base import VersionedQuerySet
from .exceptions import HasHistory

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser


def may_see_all(user: "AbstractUser | AnonymousUser", permission: str) -> bool:
    """Staff who hold the view permission see every owner's; all others see their own."""
    return user.is_active and user.is_staff and user.has_perm(permission)


class _GuardedDelete[M: models.Model](models.QuerySet[M]):
    def delete(self) -> tuple[int, dict[str, int]]:
        """Raises HasHistory, and deletes nothing, where a run points at any of them."""
        with HasHistory.translated(self.model):
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class WorkflowQuerySet(_GuardedDelete[Any], VersionedQuerySet[Any]):  # type: ignore[override]  # as_manager() of each
    def alive(self) -> "WorkflowQuerySet":
        """Those not soft-deleted."""
        return self.filter(deleted_at=None)

    def with_graph(self) -> "WorkflowQuerySet":
        """With `nodes` and `edges` read, without retired nodes."""
        nodes = self.model._meta.get_field("nodes").related_model._default_manager.current()
        return self.prefetch_related(models.Prefetch("nodes", nodes), "edges")

    def visible_to(self, user: Any) -> "WorkflowQuerySet":
        if may_see_all(user, "workflows.view_workflow"):
            return self
        return self.filter(owner_id=user.pk) if user.pk else self.none()


class NodeQuerySet(_GuardedDelete[Any]):
    def current(self) -> "NodeQuerySet":
        """Those in the graph of their workflow, as against retired ones."""
        return self.filter(retired_at=None)

    def leave(self) -> None:
        """Take them out of their graphs, their edges with them: retired where a run may remember them, else deleted."""
        with transaction.atomic(using=self.db):
            remembered = self.filter(workflow__graphs__isnull=False).order_by().values("pk").distinct()
            self.model._default_manager.using(self.db).filter(pk__in=remembered).update(retired_at=Now())
            self.filter(workflow__graphs=None).delete()

    leave.alters_data = True  # type: ignore[attr-defined]
