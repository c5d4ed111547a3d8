"""Confirmation pages for admin actions.

The page counts and lists the rows, gives the reason why a row cannot be acted on, and requires a reason in a text
area, where Enter does not submit the form.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from ledgerkit.page_sizes import PAGE_SIZE
from ledgerkit.types import Context, StrOrPromise

from .lists import StrictAdmin

if TYPE_CHECKING:
    from django.db.models.options import Options

CONFIRMED = "confirmed"
MAX_REASON = 1_000
PREFIX = f"{admin.ActionLocation.CHANGE_FORM.value}-"  # Django's prefix for the action fields of a change form


@dataclass(frozen=True)
class Question:
    """The parameters of a confirmation page. `refused` maps the ids of rows that cannot be acted on to the reason."""

    action: str
    verb: StrOrPromise  # title and button text, with placeholders for count and items
    effect: object = ""
    rows: Sequence[Model] = ()
    refused: Mapping[UUID, object] = field(default_factory=dict)
    takes_reason: bool = True
    needs_reason: bool = False

    @property
    def possible(self) -> list[Model]:
        return [row for row in self.rows if row.pk not in self.refused]

    @property
    def impossible(self) -> list[Model]:
        return [row for row in self.rows if row.pk in self.refused]


def is_confirmed(request: HttpRequest) -> bool:
    return CONFIRMED in request.POST


def reason(request: HttpRequest) -> str:
    """Return the submitted reason as one line."""
    reasons = (" ".join(request.POST.get(name, "").split()) for name in ("reason", f"{PREFIX}reason"))
    return next(filter(None, reasons), "")[:MAX_REASON]


def confirmation_page(
    model_admin: StrictAdmin, request: HttpRequest, question: Question, error: object = ""
) -> HttpResponse:
    """Render the confirmation page, with the reason that was already typed."""
    context = {
        "question": question,
        "title": _verb_with_items(model_admin.opts, question),
        "error": error,
        "reason": reason(request),
        "max_reason": MAX_REASON,
        "action_field": f"{PREFIX if f'{PREFIX}action' in request.POST else ''}action",
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
        "back": request.get_full_path(),
        "opts": model_admin.opts,
        "media": model_admin.media,
    }
    everywhere = model_admin.admin_site.each_context(request)
    return TemplateResponse(
        request, "admin/confirm_action.html", everywhere | context | _row_context(model_admin, question)
    )


def _row_context(model_admin: StrictAdmin, question: Question) -> Context:
    possible, impossible = question.possible, question.impossible
    shown = [(row, _page(row), model_admin.row_badge(row)) for row in possible[:PAGE_SIZE]]
    left_out = [(row, _page(row), model_admin.row_badge(row)) for row in impossible[:PAGE_SIZE]]
    return {
        "keys": [row.pk for row in possible],
        "possible": shown,
        "impossible": [(*each, question.refused[each[0].pk]) for each in left_out],
        "left_out": len(impossible),
        "shown": PAGE_SIZE,
    }


def report_success(model_admin: StrictAdmin, request: HttpRequest, text: StrOrPromise, count: int) -> None:
    """Show the message `text`, with placeholders for count and items, unless no row was changed."""
    if count:
        items = model_ngettext(model_admin.opts, count)
        model_admin.message_user(request, str(text) % {"count": count, "items": items}, messages.SUCCESS)


def run_on_each(
    model_admin: StrictAdmin,
    request: HttpRequest,
    question: Question,
    act: Callable[[Any], bool],
    success: StrOrPromise,
) -> HttpResponse | None:
    """Render the confirmation page, or call `act` for each possible row once it is confirmed. `act` returns whether it
    changed the row."""
    if not is_confirmed(request) or (question.rows and not question.possible):
        return confirmation_page(model_admin, request, question)
    report_success(model_admin, request, success, sum(act(row) for row in question.possible))
    return None


def _verb_with_items(opts: "Options[Model]", question: Question) -> str:
    count = len(question.possible)
    return str(question.verb) % {"count": count, "items": model_ngettext(opts, count)}


def _page(row: Model) -> str:
    """Return the URL of the row's change page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
