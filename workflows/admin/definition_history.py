"""Changes of definitions and tokens: the list of all, and the history page of one workflow or token."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.history import register_history
from ledgerkit.admin.lists import ConstantFilter, StrictAdmin, StrictChangeList
from ledgerkit.db.models import parse_uuid
from workflows.history import ChangeAct, ChangedKind, DefinitionChange
from workflows.models import Node

MAX_CHANGES = 200  # newest changes on the history page
ROWS = 5  # displayed rows of one change; the others are counted

User = get_user_model()

type Field = tuple[str, str, str]


class Reference(NamedTuple):
    """A field that holds an id: its label on a page, and its model."""

    title: str
    model: type[models.Model]


REFERENCES = {
    "source_node_id": Reference("source_node", Node),
    "target_node_id": Reference("target_node", Node),
    "owner_id": Reference("owner", User),
    "user_id": Reference("user", User),
}


class KindFilter(ConstantFilter):
    title = _("kind")
    parameter_name = "kind"
    offered = tuple(ChangedKind.choices)


class ChangesList(StrictChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """Look up names for all rows of the page at once."""
        super().get_results(request)
        self.changes = present_changes(self.result_list)


@admin.register(DefinitionChange)
class DefinitionChangeAdmin(StrictAdmin):
    list_display_links = None  # no row has a page; one template renders the table
    list_filter = (KindFilter,)
    search_fields = ("subject_name", "username")
    search_help_text = _("A name, a user, or the id of a workflow or token")
    ordering = ("-happened_at", "-id")

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return ChangesList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        if pk := parse_uuid(search_term.strip()):
            return queryset.filter(subject_id=pk), False
        return super().get_search_results(request, queryset, search_term)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class Names:
    """The current names of nodes and users whose ids occur in these changes."""

    def __init__(self, rows: Iterable[DefinitionChange]) -> None:
        found: dict[type[models.Model], set[object]] = defaultdict(set)
        for field, values in (field for row in rows for part in row.rows[:ROWS] for field in part["fields"].items()):
            if field in REFERENCES:
                found[REFERENCES[field].model].update(value for value in values if value is not None)
        named = {Node: "name", User: User.USERNAME_FIELD}
        self._names = {
            (model, str(pk)): name
            for model, pks in found.items()
            for pk, name in model._default_manager.filter(pk__in=pks).values_list("pk", named[model])
        }

    def find_name(self, field: str, value: object) -> object:
        """Return the name of the row that a field refers to, or its id if the row is deleted."""
        return self._names.get((REFERENCES[field].model, str(value)), value)


class ChangeView:
    """Presenter of a change."""

    def __init__(self, row: DefinitionChange, names: Names) -> None:
        self.row, self.names = row, names
        self.title = gettext("%(act)s: %(kind)s") % {"act": row.get_act_display(), "kind": row.get_kind_display()}
        self.more = max(len(row.rows) - ROWS, 0) + row.more

    def parts(self) -> Iterator[tuple[str, list[Field]]]:
        """Yield the name of each row (empty if it is the subject itself) and its fields with the old and the new
        value."""
        for part in self.row.rows[:ROWS]:
            name = "" if part["name"] == self.row.subject_name else part["name"] or ""
            yield name, [(field, _text(before), _text(after)) for field, (before, after) in self._fields(part)]

    def _fields(self, part: dict[str, Any]) -> Iterator[tuple[str, list[object]]]:
        """Yield the fields that differ. The ends of a created or deleted edge are left out: its name contains them."""
        for field, values in part["fields"].items():
            if field not in REFERENCES:
                yield field, values
            elif self.row.kind != ChangedKind.EDGE or self.row.act == ChangeAct.CHANGE:
                yield REFERENCES[field].title, [self.names.find_name(field, value) for value in values]


def present_changes(rows: Sequence[DefinitionChange]) -> list[ChangeView]:
    names = Names(rows)
    return [ChangeView(row, names) for row in rows]


@register_history
def read_newest(subject: models.Model) -> dict[str, object]:
    """Return the newest changes of a workflow or token, as admin/changes/history.html shows them."""
    newest = list(DefinitionChange.for_subject(subject)[: MAX_CHANGES + 1])
    return {
        "changes": present_changes(newest[:MAX_CHANGES]),
        "is_cut": len(newest) > MAX_CHANGES,
        "shown": MAX_CHANGES,
    }


def _text(value: object) -> str:
    """Return a value for display: a text unchanged, anything else as JSON, "" for a missing value."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
