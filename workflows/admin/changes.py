"""What was changed of definitions and tokens: the list of all of it, and the history page of one workflow or token."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.base import parse_uuid
from workflows.history import ChangeAct, ChangedKind, DefinitionChange
from workflows.models import Node

from .lists import ConstantFilter, StrictAdmin

SHOWN = 200  # changes on the page of one workflow or token, the newest
ENDS = {"source_node_id": "source_node", "target_node_id": "target_node"}
ROWS = 5  # rows of one change that are shown; the others are counted

type Field = tuple[str, str, str]


class KindFilter(ConstantFilter):
    title = _("kind")
    parameter_name = "kind"
    offered = tuple(ChangedKind.choices)


@admin.register(DefinitionChange)
class DefinitionChangeAdmin(StrictAdmin):
    list_display = ("time", "subject_name", "what", "who", "why")
    list_display_links = None
    list_filter = (KindFilter,)
    search_fields = ("subject_name", "username")
    search_help_text = _("A name, a user, or the id of a workflow or token")
    list_per_page = 50
    ordering = ("-happened_at", "-id")

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("executions/admin.css",)}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if pk := parse_uuid(search_term.strip()):
            return queryset.filter(subject_id=pk), False
        return super().get_search_results(request, queryset, search_term)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("time"))
    def time(self, row: DefinitionChange) -> str:
        return render_to_string("admin/changes/_time.html", {"change": row})

    @admin.display(description=_("what"))
    def what(self, row: DefinitionChange) -> str:
        return render_to_string("admin/changes/_what.html", {"change": Shown(row)})

    @admin.display(description=_("who"))
    def who(self, row: DefinitionChange) -> str:
        return render_to_string("admin/changes/_who.html", {"change": row})

    @admin.display(description=_("reason"))
    def why(self, row: DefinitionChange) -> str:
        return row.reason or "–"


class Shown:
    """A change as its row is shown."""

    def __init__(self, row: DefinitionChange) -> None:
        self.row = row
        self.title = gettext("%(act)s: %(kind)s") % {"act": row.get_act_display(), "kind": row.get_kind_display()}
        self.more = max(len(row.rows) - ROWS, 0) + row.more

    def parts(self) -> Iterator[tuple[str, list[Field]]]:
        """Yield each row's name, where it is not the subject's own, and its fields with what was and what is."""
        for part in self.row.rows[:ROWS]:
            name = "" if part["name"] == self.row.subject_name else part["name"] or ""
            yield name, [(field, _text(before), _text(after)) for field, (before, after) in self._fields(part)]

    def _fields(self, part: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
        """Yield the fields that differ. The ends of an edge are nodes, shown by their names: of one that was made or
        deleted the edge's own name says them."""
        for field, values in part["fields"].items():
            if field not in ENDS:
                yield field, values
            elif self.row.act == ChangeAct.CHANGE:
                yield ENDS[field], [self._node_names.get(value, value) for value in values]

    @cached_property
    def _node_names(self) -> dict[str, str]:
        """The names that the ends of moved edges have now, by their ids."""
        ids = {value for part in self.row.rows[:ROWS] for end in ENDS for value in part["fields"].get(end, ())}
        return {str(pk): name for pk, name in Node.objects.filter(pk__in=ids).values_list("pk", "name")}


class ChangesMixin(StrictAdmin):
    """Shows what was changed, by whatever way, where Django shows only what was done in the admin."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        subject = self.get_object(request, unquote(object_id))
        if subject is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]  # as Django's own does
        if not self.has_view_or_change_permission(request, subject):
            raise PermissionDenied
        newest = DefinitionChange.of(subject)[: SHOWN + 1]
        context = {
            "title": gettext("Changes of %(name)s") % {"name": subject},
            "changes": [Shown(row) for row in newest[:SHOWN]],
            "is_cut": len(newest) > SHOWN,
            "shown": SHOWN,
            "object": subject,
            "opts": self.opts,
        }
        context = self.admin_site.each_context(request) | context | (extra_context or {})
        return TemplateResponse(request, "admin/changes/history.html", context)


def _text(value: Any) -> str:
    """Return a value as a person reads it: a text as it is, anything else as JSON, nothing for what was not there."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
