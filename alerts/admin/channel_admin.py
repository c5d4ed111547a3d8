from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alerts.models import Channel, ChannelKind
from alerts.webhooks.signature import make_secret
from ledgerkit.admin.lists import ConstantFilter, StrictAdmin
from ledgerkit.types import Context

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Channel]
else:
    ModelForm = forms.ModelForm


class ActiveFilter(ConstantFilter):
    title = _("active")
    parameter_name = "active"
    offered = (("yes", _("Yes")), ("no", _("No")))

    def chosen(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(is_active=value == "yes")


class ChannelForm(ModelForm):
    """A form that takes address and secret and shows neither."""

    made_secret = ""  # to be shown once
    address = forms.CharField(
        label=_("Address"), required=False, max_length=2_000, widget=AdminTextInputWidget,
        help_text=_("Address of the webhook or Slack channel. Leave it empty to keep the stored address."),
    )  # fmt: skip
    secret = forms.CharField(
        label=_("Secret"), required=False, max_length=200,
        widget=forms.PasswordInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text=_("Secret of the webhook: whsec_ and base64. A new channel without one gets one, shown once."),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        self._set(self.instance.set_address, found.get("address"))
        self._set(self.instance.set_secret, found.get("secret"))
        is_webhook = found.get("kind") == ChannelKind.WEBHOOK
        if is_webhook and not found.get("secret") and not self.instance.encrypted_secret:
            self.made_secret = make_secret()
            self.instance.set_secret(self.made_secret)
        return found

    def _set(self, store: Any, value: str | None) -> None:
        if value:
            try:
                store(value)
            except ValidationError as error:
                self.add_error(None, error)


@admin.register(Channel)
class ChannelAdmin(StrictAdmin):
    form = ChannelForm
    list_display = ("name", "kind", "host", "is_active", "failing_since", "disabled_at")
    list_filter = (ActiveFilter,)
    list_columns = ("name", "kind", "host", "is_active", "failing_since", "disabled_at")
    search_fields = ("name", "host")
    autocompletes = ("owner",)
    fields = ("name", "owner", "kind", "address", "secret", "recipients", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen

    def get_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        if obj is None or self.has_change_permission(request, obj):
            return self.fields
        return ("name", "owner", "kind", "host", "recipients", "is_active")

    def save_model(self, request: HttpRequest, obj: Channel, form: ChannelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        obj.made_secret = form.made_secret  # type: ignore[attr-defined]  # passed to response_add() only

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None) -> HttpResponse:
        return self._secret_page(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Channel) -> HttpResponse:
        """Show a secret also where a channel of Slack becomes a webhook."""
        return self._secret_page(request, obj) or super().response_change(request, obj)

    def _secret_page(self, request: HttpRequest, obj: Channel) -> HttpResponse | None:
        """Render a secret that was made on a page of its own: a message would store it in a cookie."""
        if not (secret := getattr(obj, "made_secret", "")):
            return None
        words: Context = {"title": gettext("Channel created"), "opts": self.opts, "channel": obj, "secret": secret}
        context = self.admin_site.each_context(request) | words
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "admin/alerts/channel/created.html", context, headers=headers)
