"""Changelists that accept only the filters they declare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.filters import ListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ledgerkit.admin.widgets import Autocomplete
from ledgerkit.db import names
from ledgerkit.db.models import Column
from ledgerkit.page_sizes import PAGE_SIZE
from ledgerkit.types import Context, StrOrPromise

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

CHANGE_LIST = admin.ActionLocation.CHANGE_LIST
TITLE_LENGTH = 120
EVERYWHERE = [CHANGE_LIST, admin.ActionLocation.CHANGE_FORM]  # form field of an action


type Choice = tuple[str, StrOrPromise]  # a value of a filter and its title


@dataclass(frozen=True)
class Chip:
    """An active filter, displayed above the table. `without` is the URL of the list without it."""

    title: StrOrPromise
    words: object
    without: str
    is_excluded: bool = False


@dataclass(frozen=True)
class Option:
    """A value that the field of a filter offers."""

    value: str
    title: StrOrPromise
    is_chosen: bool
    is_excluded: bool = False


class ConstantFilter(admin.SimpleListFilter):
    """A filter whose choices are the constant `offered`; needs no query. Any other value is rejected."""

    field_template: ClassVar[str] = "admin/ledgerkit/filters/select.html"  # of its field in the bar above the list
    is_common: ClassVar[bool] = True  # or it is among the further filters, which are folded
    offered: ClassVar[Sequence[Choice]]
    refusal: ClassVar[StrOrPromise] = ""  # sentence for those whose value was rejected: which values are possible

    @property
    def options(self) -> list[Option]:
        """Return what its field offers."""
        return [Option(value, title, value == self.value()) for value, title in self.lookup_choices]

    @classmethod
    def canonical(cls, values: list[str]) -> str:
        """Return the value of a parameter that an address has several times, or in another form."""
        return values[-1]

    @classmethod
    def parameters(cls) -> Iterable[str]:
        return (str(cls.parameter_name),)

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Iterable[Choice]:
        return self.offered

    def has_output(self) -> bool:
        """Return True. Django drops a filter without choices, and with it the value that was requested."""
        return super().has_output() or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        value = self.value()
        if value is None:
            return queryset
        if value not in {offered for offered, _title in self.lookup_choices}:
            raise IncorrectLookupParameters
        return self.chosen(queryset, value)

    def chips(self, changelist: ChangeList) -> list[Chip]:
        """Return the chips that are displayed above the table while the filter is active."""
        if (value := self.value()) is None:
            return []
        words = dict(self.lookup_choices).get(value, value)
        return [Chip(self.title or "", words, changelist.get_query_string(remove=[str(self.parameter_name)]))]

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(**{str(self.parameter_name): value})


def canonical_query(model_admin: ModelAdmin, query: QueryDict) -> str | None:
    """Return the query string without empty and repeated parameters, None if `query` has none of them."""
    specs = cast("Iterable[type[ConstantFilter]]", model_admin.list_filter)  # those of StrictAdmin are no others
    filters = {name: each for each in specs for name in each.parameters()}
    given = {name: [str(value) for value in values] for name, values in query.lists()}
    found = {name: filters[name].canonical(values) if name in filters else values[-1] for name, values in given.items()}
    kept = {name: value for name, value in found.items() if value}
    return None if {name: [value] for name, value in kept.items()} == given else urlencode(kept)


def _title(name: str, chips: Iterable[Chip]) -> str:
    """Return the title of a list with what it is filtered by, which tells its tab from others."""
    words = [_("not %(words)s") % {"words": chip.words} if chip.is_excluded else str(chip.words) for chip in chips]
    return Truncator(f"{name}: {', '.join(words)}" if words else name).chars(TITLE_LENGTH)


class StrictChangeList(ChangeList):
    """A changelist that filters only by declared filters and reads only the columns that it displays. Django's accepts
    lookups on any field of the model (`?digest__startswith=a`)."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        rows = super().get_queryset(request, exclude_parameters)
        columns = self.model_admin.list_columns  # type: ignore[attr-defined]  # of our own admin classes and filters
        return rows.only(*columns) if columns else rows

    def get_query_string(
        self, new_params: Mapping[str, object] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        """Remove parameters by exact name. Django removes by prefix: `node_execution` together with `node`."""
        kept = {name: value for name, value in self.filter_params.items() if name not in set(remove or ())}
        return f"?{urlencode(sorted((kept | dict(new_params or {})).items()), doseq=True)}"

    @property
    def chips(self) -> list[Chip]:
        """Return the active search and filters, in the order of `list_filter`."""
        specs = [spec for spec in self.filter_specs if isinstance(spec, ConstantFilter)]
        found = [chip for spec in specs for chip in spec.chips(self)]
        if not self.query:
            return found
        return [Chip(_("search"), self.query, self.get_query_string(remove=[SEARCH_VAR])), *found]

    @property
    def common_filters(self) -> list[ConstantFilter]:
        return [spec for spec in self._fields if spec.is_common]

    @property
    def further_filters(self) -> list[ConstantFilter]:
        return [spec for spec in self._fields if not spec.is_common]

    @property
    def is_further_filtered(self) -> bool:
        return any(spec.chips(self) for spec in self.further_filters)

    @property
    def _fields(self) -> list[ConstantFilter]:
        return [spec for spec in self.filter_specs if isinstance(spec, ConstantFilter) and spec.field_template]

    @property
    def kept_parameters(self) -> list[tuple[str, str]]:
        """Return the parameters of the address for which the bar has no field, such as a filter of a link."""
        fields = {name for spec in self._fields for name in spec.parameters()} | {SEARCH_VAR}
        given = {name: values[-1] for name, values in self.filter_params.items()}
        return [(name, str(value)) for name, value in sorted(given.items()) if name not in fields]

    @property
    def without_chips(self) -> str:
        return str(getattr(self.model_admin, "everything", "?"))

    def get_filters(self, request: HttpRequest) -> tuple[list[ListFilter], bool, dict[str, bool | str], bool, bool]:
        offered = {name for list_filter in self.list_filter for name in list_filter.parameters()}  # type: ignore[union-attr]  # of our own admin classes and filters
        if self.get_filters_params().keys() - offered:
            raise IncorrectLookupParameters
        return super().get_filters(request)


class SelectedAdmin(ModelAdmin):
    """A ModelAdmin that ignores selected values that are not primary keys. Django's raises an error for them."""

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Model], action_location: admin.ActionLocation = CHANGE_LIST
    ) -> HttpResponse | None:
        try:
            for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(pk)
        except ValidationError as error:
            raise BadRequest(str(error)) from error
        return super().response_action(request, queryset, action_location)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        """Search for a text in each Unicode form in which it may be stored."""
        search = super().get_search_results
        found = [search(request, queryset, form) for form in names.forms(search_term)]
        return reduce(or_, [rows for rows, _doubled in found]), any(doubled for _rows, doubled in found)


class StrictAdmin(SelectedAdmin):
    """A ModelAdmin with a strict changelist, whose template has no list_editable and no date_hierarchy.

    `list_filter` holds filter classes with a `parameters()` method, such as ConstantFilter. `list_columns` are the
    columns that the list reads, unless the queryset of the admin already limits them.
    """

    list_columns: ClassVar[tuple[str, ...]] = ()
    autocompletes: ClassVar[tuple[str, ...]] = ()  # foreign keys; autocomplete_fields refuses models without an admin
    list_per_page = PAGE_SIZE
    show_facets = admin.ShowFacets.NEVER

    @property
    def media(self) -> forms.Media:
        """Return what a list needs. Django's eight scripts are for fields, and delay the first rows."""
        return forms.Media(css={"all": ("ledgerkit/admin.css",)}, js=("admin/js/actions.js",))

    @property
    def form_media(self) -> forms.Media:
        """Return what a form needs beside `media`."""
        return super().media

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return StrictChangeList

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Return those of `autocompletes` whose model has an admin that searches: a project's user model may have
        none."""
        models = {name: self.opts.get_field(name).related_model for name in self.autocompletes}
        site = self.admin_site
        return [
            name
            for name, model in models.items()
            if model and site.is_registered(model) and site.get_model_admin(model).get_search_fields(request)
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Context | None = None) -> HttpResponse:
        """Set the title: Django's "Select ... to change" is wrong for read-only rows. Redirect from the address of a
        form with empty or repeated fields to the one that links and saved views have."""
        if request.method == "GET" and (query := canonical_query(self, request.GET)) is not None:
            return HttpResponseRedirect(f"?{query}" if query else f"{request.path}{getattr(self, 'everything', '')}")
        title = str(self.opts.verbose_name_plural).capitalize()
        response = super().changelist_view(request, {"title": title} | (extra_context or {}))
        if isinstance(response, TemplateResponse) and (cl := (response.context_data or {}).get("cl")):
            response.context_data |= {"title": _title(title, cl.chips)}  # type: ignore[operator]  # it is a dict
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: Context,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Offer only the actions that are possible for this row, and load the scripts of fields."""
        if isinstance(form := context.get("action_form"), forms.Form):
            field = cast("forms.ChoiceField", form.fields["action"])
            offered = cast("list[tuple[str, str]]", field.choices)
            field.choices = [each for each in offered if self.can_act(each[0], obj)]
        context["media"] = self.form_media + cast("forms.Media", context["media"])
        return super().render_change_form(request, context, add, change, form_url, obj)

    def can_act(self, action: str, row: Any) -> bool:
        """Return whether the action is possible in the row's current state."""
        return True

    def row_badge(self, row: Any) -> str:
        """Return HTML that precedes the row's name on a confirmation page, such as its status."""
        return ""

    def formfield_for_dbfield(self, db_field: Column, request: HttpRequest, **kwargs: object) -> forms.Field | None:
        """Remove the links to change and delete the related object. One wrong click there would change another row."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            for act in ("add", "change", "delete", "view"):
                setattr(field.widget, f"can_{act}_related", False)
        return field

    def formfield_for_foreignkey(
        self, db_field: "ForeignKey[Model, Model]", request: HttpRequest, **kwargs: object
    ) -> "forms.ModelChoiceField[Model] | None":
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return True  # StrictChangeList checks the lookups
