"""Saved views of a list: the links above it, and the views that save, change, delete and open them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.apps import apps
from django.contrib import messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST

from executions import limits
from executions.admin.base import ReadOnlyAdmin
from executions.admin.configurable_changelist import ALL
from executions.admin.filters import presets, validation
from executions.admin.filters.presets import VIEW
from executions.admin.types import Context, User
from executions.models import Listed, SavedView
from ledgerkit.admin.confirmation import is_confirmed
from ledgerkit.admin.lists import ModelAdmin
from ledgerkit.db.models import parse_uuid

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[SavedView]
else:
    ModelForm = forms.ModelForm

NOT_KEPT = {*validation.OTHERS, VIEW} - {SEARCH_VAR}
SHARE = "executions.share_savedview"


@dataclass(frozen=True)
class SavedViewLink:
    """A saved view in the list. `owner` is None if it is the user's own."""

    view: SavedView
    owner: Any
    is_chosen: bool

    @property
    def address(self) -> str:
        return view_url(self.view)


class ViewForm(ModelForm):
    """Form of a saved view. Only its owner can make it a default; users who may not share it do not get these
    fields."""

    class Meta:
        model = SavedView
        fields = ("name", "is_default", "is_shared", "is_default_for_all")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.owner_id != user.pk:
            del self.fields["is_default"]
        if not user.has_perm(SHARE):
            del self.fields["is_shared"], self.fields["is_default_for_all"]

    def validate_constraints(self) -> None:
        """Skip the constraint of a single default, because put() replaces the previous one."""

    def sentences(self) -> list[str]:
        labels = {name: f"{field.label}: " for name, field in self.fields.items()}
        return [f"{labels.get(name, '')}{error}" for name, errors in self.errors.items() for error in errors]


# --- the list ---------------------------------------------------------------
def filters_of(query: QueryDict) -> dict[str, str]:
    """Return the parameters of a query that a view keeps."""
    return {name: str(value) for name, value in sorted(query.items()) if name not in NOT_KEPT and value}


def view_url(view: SavedView) -> str:
    """Return the URL of the list with the view's filters. It names the view, so that the view can be changed there."""
    return presets.list_url(view.listed, **view.filters, **{VIEW: str(view.pk)})


def default_view_url(request: HttpRequest, listed: str) -> str | None:
    """Return the URL of the user's default view, to which the list without parameters redirects."""
    view = None if request.GET else SavedView.objects.default_of(request.user, listed)
    return view_url(view) if view else None


def visible_views(request: HttpRequest, listed: str) -> Context:
    """Return the template context: the views that this user has of a list, the current one, and what the user may
    do."""
    own = list(SavedView.objects.owned_by(request.user, listed))
    shared = list(SavedView.objects.shared_with(request.user, listed)[: limits.SHARED_VIEWS + 1])
    more, shared = len(shared) > limits.SHARED_VIEWS, shared[: limits.SHARED_VIEWS]
    view, now = _current_view(request, [*own, *shared], listed), filters_of(request.GET)
    return {
        "listed": listed,
        "views": [SavedViewLink(each, None, each == view) for each in own],
        "shared_views": [SavedViewLink(each, each.owner, each == view) for each in shared],
        "more_shared_views": more,
        "view": view,
        "view_is_unknown": view is None and request.GET.get(VIEW, "") not in {"", presets.EVERYTHING[VIEW]},
        "view_is_changed": view is not None and view.filters != now,
        "view_form": ViewForm(request.user, instance=view) if view and _may(request, view, "change") else None,
        "may_delete_view": view is not None and _may(request, view, "delete"),
        "new_view_form": ViewForm(request.user, instance=_new(request, listed), prefix="new"),
        "kept_filters": urlencode(now),
    }


def current_view(request: HttpRequest, listed: str) -> SavedView | None:
    """Return the view that the URL names; None if it is not shared with this user."""
    pk = parse_uuid(request.GET.get(VIEW))
    return SavedView.objects.visible_to(request.user).filter(pk=pk, listed=listed).first() if pk else None


def _current_view(request: HttpRequest, known: list[SavedView], listed: str) -> SavedView | None:
    pk = parse_uuid(request.GET.get(VIEW))
    return next((view for view in known if view.pk == pk), None) or current_view(request, listed)


def _may(request: HttpRequest, view: SavedView, act: str) -> bool:
    return view.owner_id == request.user.pk or request.user.has_perm(f"executions.{act}_savedview")


def _new(request: HttpRequest, listed: str) -> SavedView:
    return SavedView(owner=request.user, listed=listed)  # type: ignore[misc]  # only users may open the admin


class SavedViewsMixin(ReadOnlyAdmin):
    """Model admin whose list has saved views."""

    everything: ClassVar[str] = ALL
    own_parameters: ClassVar[tuple[str, ...]] = (VIEW,)

    @property
    def listed(self) -> str:
        return str(self.opts.model_name)

    def changelist_view(self, request: HttpRequest, extra_context: Context | None = None) -> HttpResponse:
        """Render the list with its views, unless the context asks for a part of it."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and "cl" in (shown := response.context_data or {}):
            response.context_data = shown | ({} if shown.get("part") else visible_views(request, self.listed))
        return response

    def redirect_from_list(self, request: HttpRequest) -> HttpResponse | None:
        address = default_view_url(request, self.listed) if self.has_view_permission(request) else None
        return redirect(address) if address else super().redirect_from_list(request)

    def invalid_filter_response(self, request: HttpRequest, **extra: object) -> HttpResponse:
        return super().invalid_filter_response(request, view=current_view(request, self.listed), **extra)


# --- URLs -------------------------------------------------------------------
def urls(model_admin: ModelAdmin) -> list[URLPattern]:
    """Return the URLs of the views of all lists."""

    def at(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        return path(route, model_admin.admin_site.admin_view(partial(view, model_admin)), name=name)

    return [
        at("views/", _post_only(_add), "executions_savedview_add"),
        at("views/<uuid:pk>/", _open, "executions_savedview"),
        at("views/<uuid:pk>/change/", _post_only(_change), "executions_savedview_change"),
        at("views/<uuid:pk>/delete/", _post_only(_delete), "executions_savedview_delete"),
    ]


def _post_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view for POST requests only."""

    def view_of_post(model_admin: ModelAdmin, request: HttpRequest, **kwargs: object) -> HttpResponse:
        return require_POST(partial(view, model_admin))(request, **kwargs)

    return view_of_post


def _open(model_admin: ModelAdmin, request: HttpRequest, pk: UUID) -> HttpResponse:
    """Redirect to the list with the view's current filters. This URL can be shared."""
    return redirect(view_url(_get_view(model_admin, request, pk)))


def _add(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    if (listed := request.POST.get("list") or Listed.RUNS) not in Listed.values:
        raise Http404(_("There is no such list."))
    list_admin = _list_admin(model_admin, request, listed)
    now = filters_of(QueryDict(request.POST.get("filters", "")))
    form = ViewForm(request.user, request.POST, instance=_new(request, listed), prefix="new")
    back = presets.list_url(listed, **now or presets.EVERYTHING)
    return _save(list_admin, request, form, now, back)


def _change(model_admin: ModelAdmin, request: HttpRequest, pk: UUID) -> HttpResponse:
    view = _get_view(model_admin, request, pk, "change")
    now = filters_of(QueryDict(request.POST.get("filters", "")))
    replaced = now if "replace" in request.POST else None
    form = ViewForm(request.user, request.POST, instance=view)
    back = presets.list_url(view.listed, **now, **{VIEW: str(pk)})
    return _save(_list_admin(model_admin, request, view.listed), request, form, replaced, back)


def _delete(model_admin: ModelAdmin, request: HttpRequest, pk: UUID) -> HttpResponse:
    view = _get_view(model_admin, request, pk, "delete")
    if not is_confirmed(request):
        context = model_admin.admin_site.each_context(request) | {"view": view, "back": view_url(view)}
        opts = _list_admin(model_admin, request, view.listed).opts
        titled = {"title": _("Delete the view “%(name)s”") % {"name": view.name}, "opts": opts}
        return TemplateResponse(request, "admin/executions/saved_view_delete.html", context | titled)
    view.delete()
    messages.success(request, _("The view “%(name)s” was deleted; no row of the list was.") % {"name": view.name})
    return redirect(presets.list_url(view.listed, **presets.EVERYTHING))


def _list_admin(model_admin: ModelAdmin, request: HttpRequest, listed: str) -> ModelAdmin:
    """Return the admin of a list. Raises PermissionDenied if the user may not see it."""
    found = model_admin.admin_site.get_model_admin(apps.get_model("executions", listed))
    if not found.has_view_permission(request):
        raise PermissionDenied(f"executions.view_{listed}")
    return found


def _get_view(model_admin: ModelAdmin, request: HttpRequest, pk: UUID, act: str = "view") -> SavedView:
    """Return the view. Raises PermissionDenied if the user may not see its list or may not `act` on it, and Http404."""
    view = SavedView.objects.visible_to(request.user).filter(pk=pk).first()
    _list_admin(model_admin, request, view.listed if view else Listed.RUNS)
    if view is None:
        raise Http404(_("There is no such view, or its owner does not share it."))
    if act != "view" and not _may(request, view, act):
        raise PermissionDenied(f"executions.{act}_savedview")
    return view


def _save(model_admin: ModelAdmin, request: HttpRequest, form: ViewForm, filters: Any, back: str) -> HttpResponse:
    """Save the view from the form, with `filters` unless they are None, or show the errors; redirect to `back`."""
    try:
        if filters is not None:
            form.instance.filters = _check(model_admin, request, filters)
        if not form.is_valid():
            raise ValidationError(form.sentences())
        form.instance.put()
    except ValidationError as error:
        for sentence in error.messages:
            messages.error(request, sentence)
        return redirect(back)
    messages.success(request, _("The view “%(name)s” is saved.") % {"name": form.instance.name})
    return redirect(view_url(form.instance))


def _check(model_admin: ModelAdmin, request: HttpRequest, filters: dict[str, str]) -> dict[str, str]:
    if refused := validation.refusals(model_admin, request, filters):
        names = get_text_list([each.title for each in refused], pgettext("last in a list", "and"))
        raise ValidationError(
            _("The list does not have these filters, so nothing was saved: %(names)s.") % {"names": names}
        )
    return filters
