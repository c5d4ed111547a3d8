from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.admin.lists import ConstantFilter, StrictAdmin

from .models import Scope, Token

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Token]
else:
    ModelForm = forms.ModelForm

EVERYWHERE = [admin.ActionLocation.CHANGE_LIST, admin.ActionLocation.CHANGE_FORM]


class UsableFilter(ConstantFilter):
    title = _("state")
    parameter_name = "state"
    offered = (("usable", _("Usable")), ("revoked", _("Revoked")))

    def chosen(self, queryset: Any, value: str) -> Any:
        return queryset.usable() if value == "usable" else queryset.exclude(revoked_at=None)


class TokenForm(ModelForm):
    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=Scope.choices, widget=forms.CheckboxSelectMultiple)

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError(_("This time has passed: choose a later one, or leave it empty for no end."))
        return expires_at


@admin.register(Token)
class TokenAdmin(StrictAdmin):
    """Tokens are made and revoked. Only a superuser makes one for another user: it can do what its user can."""

    form = TokenForm
    list_display = ("name", "user", "scopes_shown", "created_at", "expires_at", "revoked_at")
    list_filter = (UsableFilter,)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("digest")

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        if obj is not None:
            return ("name", "user", "scopes_shown", "created_at", "expires_at", "revoked_at")
        return ("name", *(("user",) if request.user.is_superuser else ()), "scopes", "expires_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        return self.get_fields(request, obj) if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk} | super().get_changeform_initial_data(request)

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        """In general: who may revoke. Of a row: nobody, no field is ever edited."""
        return obj is None and super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        user = obj.user if "user" in form.cleaned_data else request.user
        row, secret = Token.objects.issue(user=user, name=obj.name, scopes=obj.scopes, expires_at=obj.expires_at)
        obj.pk = row.pk
        obj.refresh_from_db()
        sentence = gettext("This is the token. Copy it now: it is never shown again.")
        self.message_user(request, format_html("{} <code>{}</code>", sentence, secret), messages.WARNING)

    @admin.display(description=_("scopes"))
    def scopes_shown(self, token: Token) -> str:
        return ", ".join(str(Scope(scope).label) for scope in token.scopes)

    @admin.action(
        permissions=["change"],
        description=_("Revoke"),
        description_plural=_("Revoke selected %(verbose_name_plural)s"),
        location=EVERYWHERE,
    )
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        rows = list(queryset.filter(revoked_at=None))
        for token in rows:
            token.revoke()
            self.log_change(request, token, "revoke")
        self.message_user(request, gettext("Revoked: %(count)d.") % {"count": len(rows)}, messages.SUCCESS)
