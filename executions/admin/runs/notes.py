"""Notes on a run's page: what it shows, and the addresses of its form."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from executions import run_notes
from executions.admin.types import Context
from executions.exceptions import SecretsUnknown
from executions.models import WorkflowExecution
from executions.run_notes import Note, NoteGone

if TYPE_CHECKING:
    from .run_admin import WorkflowExecutionAdmin

NOT_YOURS = gettext_lazy("Only the author of this note, or an administrator, may change it: write another one.")


@dataclass(frozen=True)
class ShownNote:
    """A note, and whether the user may change it."""

    note: Note
    is_changeable: bool


def notes_context(request: HttpRequest, run: WorkflowExecution) -> Context:
    may_write = request.user.has_perm("executions.change_workflowexecution")
    notes = run_notes.notes_of(run.pk)
    return {
        "notes": [ShownNote(note, may_write and note.is_changed_by(request.user)) for note in notes],
        "may_write_notes": may_write,
        "longest_note": run_notes.MAX_NOTE_LENGTH,
    }


def urls(model_admin: "WorkflowExecutionAdmin") -> list[URLPattern]:
    def at(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        return path(route, model_admin.admin_site.admin_view(require_POST(partial(view, model_admin))), name=name)

    return [
        at("<uuid:pk>/notes/", write_view, "executions_notes"),
        at("<uuid:pk>/notes/<int:number>/", change_view, "executions_note"),
    ]


def write_view(model_admin: "WorkflowExecutionAdmin", request: HttpRequest, pk: UUID) -> HttpResponse:
    """Add a note."""
    text = request.POST.get("text", "")
    return _try(model_admin, request, pk, lambda: run_notes.write(pk, text), _("The note was added."))


def change_view(model_admin: "WorkflowExecutionAdmin", request: HttpRequest, pk: UUID, number: int) -> HttpResponse:
    """Edit or remove a note. The page has one form for all its notes: each has a field of its own."""
    text = request.POST.get(f"text-{number}", "")

    def change() -> None:
        if not run_notes.note_of(pk, number).is_changed_by(request.user):
            raise PermissionDenied(NOT_YOURS)
        if request.POST.get("act") == "remove":
            run_notes.remove(pk, number)
        else:
            run_notes.edit(pk, number, text)

    done = _("The note was removed.") if request.POST.get("act") == "remove" else _("The note was changed.")
    return _try(model_admin, request, pk, change, done)


def _try(
    model_admin: "WorkflowExecutionAdmin", request: HttpRequest, pk: UUID, act: Callable[[], object], done: str
) -> HttpResponse:
    """Call `act`, show its result as a message and return to the notes."""
    if not (model_admin.has_view_permission(request) and model_admin.has_change_permission(request)):
        raise PermissionDenied("executions.change_workflowexecution")
    if not WorkflowExecution.objects.visible_to(request.user).filter(pk=pk).exists():
        return model_admin.not_found_response(request, str(pk))
    try:
        act()
    except WorkflowExecution.DoesNotExist:  # somebody has deleted it meanwhile
        return model_admin.not_found_response(request, str(pk))
    except ValidationError as error:
        for sentence in error.messages:
            model_admin.message_user(request, sentence, messages.ERROR)
    except (NoteGone, SecretsUnknown) as error:
        model_admin.message_user(request, error.sentence, messages.ERROR)
    else:
        model_admin.message_user(request, done, messages.SUCCESS)
    return redirect(reverse("admin:executions_workflowexecution_change", args=[pk]) + "#notes")
