"""Actions ask before they act: a page that counts and lists the rows, says which of them cannot be acted on and why,
asks for a reason, and does it by a button that says what it does.

The reason is a text of several lines, so that Enter in it sends nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

CONFIRMED = "confirmed"
SHOWN = 50  # rows of each kind: as many as a page of a list has
MAX_REASON = 1_000
PREFIX = f"{admin.ActionLocation.CHANGE_FORM.value}-"  # Django's, of the fields of an action that a row's page sends


@dataclass(frozen=True)
class Question:
    """What is asked of somebody who chose an action. `refused` says why rows cannot be acted on, by their ids."""

    action: str
    verb: Any  # with places for count and items: the title, and the text of the button
    effect: Any = ""
    rows: Sequence[Any] = ()
    refused: Mapping[Any, Any] = field(default_factory=dict)
    takes_reason: bool = True
    needs_reason: bool = False

    @property
    def possible(self) -> list[Any]:
        return [row for row in self.rows if row.pk not in self.refused]

    @property
    def impossible(self) -> list[Any]:
        return [row for row in self.rows if row.pk in self.refused]


def is_confirmed(request: HttpRequest) -> bool:
    return CONFIRMED in request.POST


def reason(request: HttpRequest) -> str:
    """Return what was typed as the reason, on one line."""
    said = (" ".join(request.POST.get(name, "").split()) for name in ("reason", f"{PREFIX}reason"))
    return next(filter(None, said), "")[:MAX_REASON]


def confirmation_page(model_admin: Any, request: HttpRequest, question: Question, error: Any = "") -> HttpResponse:
    """Return the page that asks, with the reason that was typed already."""
    named = _named(model_admin.opts, question)
    possible, impossible = question.possible, question.impossible
    context = {
        "question": question,
        "title": named,
        "error": error,
        "reason": reason(request),
        "keys": [row.pk for row in possible],
        "possible": [(row, _page(row)) for row in possible[:SHOWN]],
        "impossible": [(row, _page(row), question.refused[row.pk]) for row in impossible[:SHOWN]],
        "left_out": len(impossible),
    }
    fields = {
        "max_reason": MAX_REASON,
        "shown": SHOWN,
        "action_field": f"{PREFIX if f'{PREFIX}action' in request.POST else ''}action",
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
        "back": request.get_full_path(),
        "opts": model_admin.opts,
    }
    everywhere = model_admin.admin_site.each_context(request)
    return TemplateResponse(request, "admin/confirm_action.html", everywhere | context | fields)


def _named(opts: Any, question: Question) -> Any:
    count = len(question.possible)
    return question.verb % {"count": count, "items": model_ngettext(opts, count)}


def _page(row: Any) -> str:
    """Return the address of the row's own page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
