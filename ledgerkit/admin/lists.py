"""Lists that take no other filter than those they offer, whatever stands in the query string."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.admin.widgets import AutocompleteSelect, RelatedFieldWidgetWrapper
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ledgerkit.db.names import forms

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

EVERYWHERE = [admin.ActionLocation.CHANGE_LIST, admin.ActionLocation.CHANGE_FORM]  # of an action


@dataclass(frozen=True)
class Chip:
    """One filter that is in use, as it stands above the table; `without` is the address of the list without it."""

    title: Any
    words: Any
    without: str
    is_excluded: bool = False


class ConstantFilter(admin.SimpleListFilter):
    """Offers what `offered` says, without a look at the rows; anything else is refused."""

    offered: ClassVar[Sequence[tuple[str, Any]]]

    @classmethod
    def parameters(cls) -> Iterable[str]:
        return (str(cls.parameter_name),)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return self.offered

    def has_output(self) -> bool:
        """Django drops a filter that offers nothing, and with it the value that it was asked for."""
        return super().has_output() or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value not in {offered for offered, _title in self.lookup_choices}:
            raise IncorrectLookupParameters
        return self.chosen(queryset, value)

    def chips(self, changelist: ChangeList) -> list[Chip]:
        """Return what stands above the table while the filter is in use."""
        if (value := self.value()) is None:
            return []
        words = dict(self.lookup_choices).get(value, value)
        return [Chip(self.title, words, changelist.get_query_string(remove=[str(self.parameter_name)]))]

    def chosen(self, queryset: Any, value: str) -> Any:
        return queryset.filter(**{str(self.parameter_name): value})


class StrictChangeList(ChangeList):
    """Django's takes any field of the model as a filter (`?digest__startswith=a`); this one only those it offers, and
    reads no more of a row than it shows."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        rows = super().get_queryset(request, exclude_parameters)
        columns = self.model_admin.list_columns  # type: ignore[attr-defined]
        return rows.only(*columns) if columns else rows

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Django's removes every parameter that begins with a name: `node_execution` together with `node`."""
        kept = {name: value for name, value in self.filter_params.items() if name not in set(remove or ())}
        return f"?{urlencode(sorted((kept | dict(new_params or {})).items()), doseq=True)}"

    @property
    def chips(self) -> list[Chip]:
        """Return the search and the filters that are in use, in the order in which the list offers them."""
        specs = [spec for spec in self.filter_specs if isinstance(spec, ConstantFilter)]
        found = [chip for spec in specs for chip in spec.chips(self)]
        if not self.query:
            return found
        return [Chip(_("search"), self.query, self.get_query_string(remove=[SEARCH_VAR])), *found]

    @property
    def without_chips(self) -> str:
        return str(getattr(self.model_admin, "everything", "?"))

    def get_filters(self, request: HttpRequest) -> Any:
        offered = {name for list_filter in self.list_filter for name in list_filter.parameters()}  # type: ignore[union-attr]
        if self.get_filters_params().keys() - offered:
            raise IncorrectLookupParameters
        return super().get_filters(request)


class Autocomplete(AutocompleteSelect):
    """Django's cannot show a form again that was sent with a value which is no key."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        try:
            return super().optgroups(name, value, attrs)
        except ValueError:
            return super().optgroups(name, [], attrs)


class SelectedAdmin(ModelAdmin):
    """Django's looks for whatever was sent as the key of a selected row, and breaks on what is none."""

    def response_action(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> HttpResponse | None:
        try:
            for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(pk)
        except ValidationError as error:
            raise BadRequest(str(error)) from error
        return super().response_action(request, queryset, *args, **kwargs)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Find a text in whatever form of Unicode it is stored and typed."""
        found = [super(SelectedAdmin, self).get_search_results(request, queryset, form) for form in forms(search_term)]
        return reduce(or_, [rows for rows, _doubled in found]), any(doubled for _rows, doubled in found)


class StrictAdmin(SelectedAdmin):
    """Its `list_filter` holds filter classes that name their `parameters()`, such as ConstantFilter; its `list_columns`
    are all that the list reads of a row, where the admin's own queryset does not say so already."""

    list_columns: ClassVar[tuple[str, ...]] = ()
    show_facets = admin.ShowFacets.NEVER

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StrictChangeList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Django's title, "Select ... to change", is wrong of rows that are only looked at."""
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, title | (extra_context or {}))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer only those actions that can work on this row."""
        if (form := context.get("action_form")) is not None:
            choices = form.fields["action"].choices
            form.fields["action"].choices = [each for each in choices if self.can_act(each[0], kwargs["obj"])]
        return super().render_change_form(request, context, *args, **kwargs)

    def can_act(self, action: str, row: Any) -> bool:
        """Whether the action can work on the row as it is."""
        return True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Beside a field that names another row Django offers to change, and to delete, that row: one slip of the
        mouse, in a form that is about something else."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(getattr(field, "widget", None), RelatedFieldWidgetWrapper):
            for act in ("add", "change", "delete", "view"):
                setattr(field.widget, f"can_{act}_related", False)
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.autocomplete_fields:
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return True  # StrictChangeList has the last word
