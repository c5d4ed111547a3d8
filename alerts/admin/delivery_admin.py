"""Log of the messages: read-only, but for "Send again"."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from alerts.models import Delivery, DeliveryState
from ledgerkit.admin.lists import EVERYWHERE, ConstantFilter, StrictAdmin


class StateFilter(ConstantFilter):
    title = _("state")
    parameter_name = "state"
    offered = tuple(DeliveryState.choices)


@admin.register(Delivery)
class DeliveryAdmin(StrictAdmin):
    list_display = ("created_at", "shown_channel", "shown_alert", "state", "tries", "answer", "error")
    list_filter = (StateFilter,)
    list_select_related = ("channel", "alert__rule", "alert__workflow")
    search_fields = ("alert__workflow__name", "channel__name")
    actions = ("send_again",)
    show_full_result_count = False
    fields = (
        "shown_alert", "shown_rule", "shown_channel", "message_id", "message", "state", "tries", "answer", "error",
        "created_at", "tried_at", "next_try_at",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        rows: Any = super().get_queryset(request)
        seen: QuerySet[Model] = rows.visible_to(request.user)
        return seen

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return the permission to send again; False for a single row, whose page has no form to save."""
        return obj is None and super().has_change_permission(request)

    @admin.display(description=_("channel"))
    def shown_channel(self, row: Delivery) -> str:
        return row.channel.name

    @admin.display(description=_("rule"))
    def shown_rule(self, row: Delivery) -> str:
        return row.alert.rule.name

    @admin.display(description=_("alert"))
    def shown_alert(self, row: Delivery) -> str:
        name = row.alert.workflow.name if row.alert.workflow else ""
        return f"{row.alert.get_kind_display()} · {name}" if name else row.alert.get_kind_display()

    @admin.display(description=_("message id"))
    def message_id(self, row: Delivery) -> str:
        return str(row)

    @admin.display(description=_("message"))
    def message(self, row: Delivery) -> SafeString:
        return format_html('<pre class="delivery-body" tabindex="0">{}</pre>', _readable(row.body))

    @admin.action(permissions=["change"], description=_("Send again"), location=EVERYWHERE)
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Put the messages into the outbox again, with their ids. Those of an inactive channel stay there until it is
        active."""
        number = Delivery.objects.filter(pk__in=queryset.order_by().values("pk")).send_again()
        sentence = ngettext("%(n)d message is sent again.", "%(n)d messages are sent again.", number) % {"n": number}
        messages.success(request, sentence)


def _readable(body: str) -> str:
    """Return JSON indented, and other text as it is."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        return body
