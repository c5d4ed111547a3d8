"""Views of alert rules, channels and deliveries."""

from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, Model, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from alerts.models import Channel, Delivery, Rule, RuleChannel
from ledgerkit.db import bounded_rows
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.preconditions import PreconditionsMixin, RejectIfMatchOnCreateMixin
from ledgerkit.rest.query_params import ListFilterBackend
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.base_views import LedgerView
from tokens.models import Scope
from tokens.permissions import is_bound, limit_to_token

from .alert_serializers import (
    AlertChannelSerializer,
    AlertDeliverySerializer,
    AlertRuleSerializer,
    CreatedAlertChannelSerializer,
    NewAlertChannelSerializer,
    NewAlertRuleSerializer,
    SendAgainSerializer,
)
from .filters import DeliveryFilters

WRITE = Scope.WORKFLOWS_WRITE
OF_RULE = RuleChannel.objects.filter(rule=OuterRef("pk")).order_by("channel_id").values("channel_id")


class ColumnsMixin[M: Model](IdempotencyMixin, LedgerView, RowListMixin, GenericViewSet[M]):
    """Lists that read the columns of their rows."""

    http_method_names = METHODS
    filter_backends = [ListFilterBackend]
    reads = Scope.EXECUTIONS_READ

    def filter_queryset[R](self, queryset: QuerySet[M, R]) -> QuerySet[M, R]:
        rows = super().filter_queryset(queryset)
        return bounded_rows.columns(rows) if self.action == "list" else rows  # type: ignore[return-value, arg-type]  # for the paginator alone


class OwnedRowsView[M: Model](
    RejectIfMatchOnCreateMixin,
    PreconditionsMixin,
    ColumnsMixin[M],
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
):
    """Rows of an owner, who is the caller of their creation, or of the site."""

    ordering = ("name", "id")
    grants: ClassVar[dict[str, tuple[str, str]]]
    new_class: type[BaseSerializer[M]]

    def read_query(self, request: Request) -> None:
        if self.action == "retrieve":
            check_names(request, ())

    def get_serializer_class(self) -> type[BaseSerializer[M]]:
        return self.new_class if self.action == "create" else super().get_serializer_class()

    def perform_create(self, serializer: BaseSerializer[M]) -> None:
        is_of_site = serializer.validated_data.pop("of_site", False)
        if is_of_site:
            self._check_of_site()
        serializer.save(owner=None if is_of_site else self.request.user)

    def _check_of_site(self) -> None:
        """Refuse what is not to have an owner, unless its maker may see and make such rows in the admin."""
        _scope, permission = self.grants["create"]
        if not (self.request.user.is_staff and self.request.user.has_perm(permission)):
            message = f"Only staff with the permission {permission} makes what belongs to the whole site."
            self.permission_denied(self.request, message=message)


def grants_of(model: str) -> dict[str, tuple[str, str]]:
    verbs = {"create": "add", "partial_update": "change", "destroy": "delete"}
    return {action: (WRITE, f"alerts.{verb}_{model}") for action, verb in verbs.items()}


@extend_schema(tags=["alerts"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listAlertRules",
        summary="List alert rules",
        description="The caller's own, sorted by name; staff who may view rules see all, those of the site too.",
    ),
    create=extend_schema(
        operation_id="createAlertRule",
        summary="Create an alert rule",
        description=(
            "A rule of the caller, for one workflow or for all of the caller's. With `of_site` it has no owner and is "
            "for everybody's workflows; this needs staff with the permission `alerts.add_rule`."
        ),
    ),
    retrieve=extend_schema(
        operation_id="getAlertRule", summary="Read an alert rule", description="The rule, with its channels."
    ),
    partial_update=extend_schema(
        operation_id="updateAlertRule",
        summary="Change parts of an alert rule",
        description="Changes only the fields in the body; `channels` are replaced as a whole if they are sent.",
    ),
    destroy=extend_schema(
        operation_id="deleteAlertRule",
        summary="Delete an alert rule",
        description="Deletes it with its alerts and their messages.",
    ),
)
class AlertRuleViewSet(OwnedRowsView[Rule]):
    serializer_class = AlertRuleSerializer
    new_class = NewAlertRuleSerializer
    grants = grants_of("rule")
    shows_the_row_alone = False  # a channel of it may be deleted

    def get_queryset(self) -> QuerySet[Rule]:
        rules = limit_to_token(Rule.objects.visible_to(self.request.user), self.request)
        if self.action != "list":
            return rules.select_related("workflow")
        return rules.annotate(sends_through=ArraySubquery(OF_RULE))


@extend_schema(tags=["alerts"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listAlertChannels",
        summary="List alert channels",
        description=(
            "The caller's own, sorted by name; staff who may view channels see all. A token that is bound to workflows "
            "sees none."
        ),
    ),
    create=extend_schema(
        operation_id="createAlertChannel",
        summary="Create an alert channel",
        description=(
            "A channel of the caller; with `of_site` one of the site, which needs staff with the permission "
            "`alerts.add_channel`. The secret of a webhook is made if none is sent, and answered this once."
        ),
    ),
    retrieve=extend_schema(
        operation_id="getAlertChannel",
        summary="Read an alert channel",
        description="The channel; of its address only the host.",
    ),
    partial_update=extend_schema(
        operation_id="updateAlertChannel",
        summary="Change parts of an alert channel",
        description="Changes only the fields in the body. `is_active: true` enables one again that was disabled.",
    ),
    destroy=extend_schema(
        operation_id="deleteAlertChannel",
        summary="Delete an alert channel",
        description="Deletes it with its messages; rules go on without it.",
    ),
)
class AlertChannelViewSet(OwnedRowsView[Channel]):
    serializer_class = AlertChannelSerializer
    new_class = NewAlertChannelSerializer
    response_classes = {"create": CreatedAlertChannelSerializer}
    grants = grants_of("channel")

    def get_queryset(self) -> QuerySet[Channel]:
        channels = Channel.objects.visible_to(self.request.user)
        if is_bound(self.request):
            return channels.none()
        return channels.defer("encrypted_address", "encrypted_secret") if self.action == "list" else channels

    def perform_create(self, serializer: BaseSerializer[Channel]) -> None:
        if is_bound(self.request):
            message = "This token is limited to specific workflows and cannot create channels."
            self.permission_denied(self.request, message=message)
        super().perform_create(serializer)


@extend_schema(tags=["alerts"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listAlertDeliveries",
        summary="List the messages of alerts",
        description=(
            "Newest first, with text, state, tries and the last answer: those through the caller's own channels; staff "
            "who may view deliveries see all."
        ),
    ),
)
class AlertDeliveryViewSet(ColumnsMixin[Delivery]):
    serializer_class = AlertDeliverySerializer
    filterset_class = DeliveryFilters
    ordering = ("-created_at", "-id")
    grants = {"send_again": (WRITE, "alerts.change_delivery")}

    def get_serializer_class(self) -> type[BaseSerializer[Delivery]] | type[SendAgainSerializer]:
        return SendAgainSerializer if self.action == "send_again" else AlertDeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        rows = limit_to_token(Delivery.objects.visible_to(self.request.user), self.request, "alert__workflow_id")
        if self.action != "list":
            return rows.select_related("alert", "channel")
        of_alert = {"rule": F("alert__rule_id"), "workflow": F("alert__workflow_id"), "kind": F("alert__kind")}
        return rows.annotate(**of_alert)

    @extend_schema(
        operation_id="sendAlertDeliveryAgain",
        summary="Send a message again",
        description=(
            "Puts it into the outbox again, with its id, in whatever state it is. That of an inactive channel stays "
            "there until the channel is active."
        ),
    )
    def send_again(self, request: Request, pk: UUID) -> Response:
        self.get_serializer(data=request.data).is_valid(raise_exception=True)
        row = self.get_object()
        Delivery.objects.filter(pk=row.pk).send_again()
        row.refresh_from_db(fields=["state", "next_try_at", "tries", "tried_at"])
        return Response(AlertDeliverySerializer(row).data)
