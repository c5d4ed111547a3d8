"""Actions that keep runs, so that retention does not remove them, and that keep them no longer."""

from collections.abc import Callable

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from executions.admin.actions import Offer
from executions.admin.base import ReadOnlyAdmin
from executions.admin.types import LedgerRow
from executions.models import KeptRun, WorkflowExecution
from ledgerkit.admin.confirmation import Question, reason, run_on_each
from ledgerkit.admin.lists import EVERYWHERE

KEEP = _("Keep %(count)d %(items)s")
RUNS_KEPT = _("%(count)d %(items)s are kept.")
RELEASE = _("Keep %(count)d %(items)s no longer")
RELEASED = _("%(count)d %(items)s are kept no longer.")
KEEP_EFFECT = _("Upkeep does not remove them and their log lines, until they are kept no longer.")
RELEASE_EFFECT = _("Upkeep removes them when their time is over, which may be at once.")


class KeepRunMixin(ReadOnlyAdmin):
    @admin.action(permissions=["change"], description=_("Keep"), location=EVERYWHERE)
    def keep(self, request: HttpRequest, queryset: QuerySet[WorkflowExecution]) -> HttpResponse | None:
        """Keep the runs. The reason of those that are kept already is replaced."""
        question = Question("keep", KEEP, KEEP_EFFECT, list(queryset))
        return run_on_each(
            self, request, question, self._with_log_entry(request, "keep", _keep(reason(request))), RUNS_KEPT
        )

    @admin.action(permissions=["change"], description=_("Do not keep any longer"), location=EVERYWHERE)
    def release(self, request: HttpRequest, queryset: QuerySet[WorkflowExecution]) -> HttpResponse | None:
        runs = list(queryset)
        kept = set(KeptRun.objects.filter(pk__in=[run.pk for run in runs]).values_list("pk", flat=True))
        refused: dict[object, object] = {run.pk: _("it is not kept") for run in runs if run.pk not in kept}
        question = Question("release", RELEASE, RELEASE_EFFECT, runs, refused, takes_reason=False)  # type: ignore[arg-type]  # the keys are ids
        return run_on_each(self, request, question, self._with_log_entry(request, "release", KeptRun.release), RELEASED)

    def offers(self, request: HttpRequest, row: LedgerRow) -> list[Offer]:
        """Return the actions of the run, of these two the one that changes something."""
        is_kept = KeptRun.objects.filter(pk=row.pk).exists()
        return [offer for offer in super().offers(request, row) if offer.name != ("keep" if is_kept else "release")]

    def _with_log_entry(
        self, request: HttpRequest, name: str, act: Callable[[WorkflowExecution], bool]
    ) -> Callable[[Model], bool]:
        def act_and_log(run: Model) -> bool:
            done = act(run)  # type: ignore[arg-type]  # the rows of this admin are runs
            if done:
                self.log_change(request, run, name)
            return done

        return act_and_log


def _keep(why: str) -> Callable[[WorkflowExecution], bool]:
    """Return a function that keeps a run and returns whether the run still existed."""

    def keep(run: WorkflowExecution) -> bool:
        try:
            KeptRun.keep(run, why)
        except WorkflowExecution.DoesNotExist:
            return False
        return True

    return keep
