from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledgerkit.admin.confirmation import Question, run_on_each
from ledgerkit.admin.history import ChangesMixin
from ledgerkit.admin.lists import EVERYWHERE, ConstantFilter, StrictAdmin
from ledgerkit.types import Context

from . import bindable_models
from .models import DEFAULT_DAYS, DEFAULT_SCOPES, Scope, Token

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    ModelForm = forms.ModelForm[Token]
else:
    ModelForm = forms.ModelForm


REVOKE = _("Revoke %(count)d %(items)s")
REVOKE_EFFECT = _("Requests with these tokens are refused from now on. This cannot be undone.")


class ActivityPage(NamedTuple):
    """A page with what a token did."""

    url: Callable[[UUID], str]
    is_seen_by: Callable[[HttpRequest], bool]


class UsableFilter(ConstantFilter):
    title = _("state")
    parameter_name = "state"
    offered = (("usable", _("Usable")), ("revoked", _("Revoked")))

    def chosen(self, queryset: Any, value: str) -> QuerySet[Model]:
        rows: QuerySet[Model] = queryset.usable() if value == "usable" else queryset.exclude(revoked_at=None)
        return rows


class TokenForm(ModelForm):
    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple)

    bound_to = forms.ModelMultipleChoiceField(
        label=_("Bound to workflows"),
        queryset=Token.objects.none(),  # set by TokenAdmin.get_form()
        required=False,
        help_text=_("Leave empty for all workflows that its user may see."),
    )

    def clean_bound_to(self) -> list[object]:
        return [workflow.pk for workflow in self.cleaned_data["bound_to"]]

    def clean_expires_at(self) -> object:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError(_("This time has passed: choose a later one, or leave it empty for no end."))
        return expires_at


USER_NAME = f"user__{get_user_model().USERNAME_FIELD}"


@admin.register(Token)
class TokenAdmin(ChangesMixin, StrictAdmin):
    """Admin to create and revoke tokens. Only a superuser may create a token for another user; its scopes never exceed
    that user's own permissions on rows of other owners."""

    form = TokenForm
    list_display = ("name", "user", "scopes_shown", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = (UsableFilter,)
    list_select_related = ("user",)
    list_columns = ("name", USER_NAME, "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("name", USER_NAME)
    autocompletes = ("user",)
    actions = ("revoke",)

    activity_pages: ClassVar[list["ActivityPage"]] = []  # of apps above

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return super().get_queryset(request).defer("digest")

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        if obj is not None:
            return (
                "name", "user", "scopes_shown", "bound_to", "created_at", "last_used_at", "expires_at", "revoked_at",
                *(("activity_shown",) if any(page.is_seen_by(request) for page in self.activity_pages) else ()),
            )  # fmt: skip
        return ("name", *(("user",) if request.user.is_superuser else ()), "scopes", "bound_to", "expires_at")

    def get_form(self, request: HttpRequest, obj: object = None, change: bool = False, **kwargs: object) -> Any:
        """Offer only the workflows that this user may see, in a copy of the field: the class attribute is shared by all
        requests."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        if "bound_to" in form.base_fields and (rows := bindable_models.visible_rows(request.user)) is not None:
            field = form.base_fields["bound_to"] = deepcopy(form.base_fields["bound_to"])
            field.queryset = rows
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return defaults for an engine with a limited lifetime, as in create_token. The query string may set all
        fields but the time, whose split widget cannot render one string."""
        ends = timezone.now().replace(microsecond=0) + timedelta(days=DEFAULT_DAYS)
        initial = super().get_changeform_initial_data(request)
        return {"user": request.user.pk, "scopes": DEFAULT_SCOPES} | initial | {"expires_at": ends}

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        """Return the permission to revoke, without an object. For an object return False: tokens are never edited."""
        return obj is None and super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Token, form: TokenForm, change: bool) -> None:
        user = obj.user if "user" in form.cleaned_data else cast("User", request.user)
        row, secret = Token.objects.issue(
            user=user, name=obj.name, scopes=obj.scopes, expires_at=obj.expires_at, bound_to=obj.bound_to
        )
        obj.pk = row.pk
        obj.refresh_from_db()
        obj.secret = secret  # type: ignore[attr-defined]  # passed to response_add() only

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Context | None = None) -> HttpResponse:
        only_save = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, only_save | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: Token, post_url_continue: str | None = None) -> HttpResponse:
        """Render the secret on its own page: a message for the next page would store it in a cookie."""
        words = {"title": gettext("Token created"), "opts": self.opts, "token": obj, "scopes": self.scopes_shown(obj)}
        context = self.admin_site.each_context(request) | words
        return TemplateResponse(
            request, "admin/tokens/token/created.html", context, headers={"Cache-Control": "no-store"}
        )

    @admin.display(description=_("activity"))
    def activity_shown(self, token: Token) -> SafeString:
        links = ((url(token.pk), gettext("What was done with it")) for url, _is_seen_by in self.activity_pages)
        return format_html_join(" ", '<a href="{}">{}</a>', links)

    @admin.display(description=_("scopes"))
    def scopes_shown(self, token: Token) -> str:
        return ", ".join(str(Scope(scope).label) for scope in token.scopes)

    def can_act(self, action: str, row: Token) -> bool:
        return action != "revoke" or row.revoked_at is None

    @admin.action(permissions=["change"], description=_("Revoke"), location=EVERYWHERE)
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> HttpResponse | None:
        rows = list(queryset)
        revoked = {token.pk: _("It is revoked already.") for token in rows if token.revoked_at}
        question = Question("revoke", REVOKE, REVOKE_EFFECT, rows, revoked, takes_reason=False)
        return run_on_each(
            self, request, question, lambda token: self._revoke(request, token), _("Revoked: %(count)d.")
        )

    def _revoke(self, request: HttpRequest, token: Token) -> bool:
        token.revoke()
        self.log_change(request, token, "revoke")
        return True
