"""Serializers of rules, channels and deliveries."""

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from alerts.models import AlertKind, Channel, ChannelKind, Delivery, Rule
from alerts.models.channel import MOST_RECIPIENTS
from alerts.models.rule import check_channels
from alerts.webhooks.addresses import MOST_CHARACTERS
from alerts.webhooks.signature import make_secret
from ledgerkit.rest import idempotency
from ledgerkit.rest.fields import ChoiceField, RelatedField, StrictModelSerializer, UUIDField
from ledgerkit.rest.strict_types import StrictTypes
from tokens.permissions import is_bound, limit_to_token
from workflows.models import Workflow

from .json_rows import channel_row, delivery_row, rule_row

MOST_CHANNELS = 20  # of a rule
NO_OBJECT = "No object with this id exists."
OF_SITE = "Make it for the whole site, without an owner."
NOT_BOUND = "This token is limited to specific workflows: name one of them."
NOT_STORED = (
    "With an Idempotency-Key, send your own `secret`: the response is stored, and would contain a generated one."
)
VERSIONED = ["owner", "version", "created_at", "updated_at"]


class SeenWorkflowField(RelatedField):
    """A workflow that the caller may see. Others do not exist for the caller."""

    def get_queryset(self) -> QuerySet[Workflow]:
        request: Request | None = self.context.get("request")
        if request is None:
            return Workflow.objects.none()
        return limit_to_token(Workflow.objects.visible_to(request.user).alive(), request, "id")


class AlertRuleSerializer(StrictTypes, StrictModelSerializer[Rule]):
    """A rule. `workflow` null: all of them, those of the owner or of everybody. At most `most` alerts about one
    workflow are sent in `within_seconds`."""

    row = rule_row
    workflow = SeenWorkflowField(required=False, allow_null=True)
    kinds = serializers.ListField(child=ChoiceField(AlertKind.choices), min_length=1, max_length=len(AlertKind))
    channels = serializers.ListField(source="channel_ids", child=UUIDField(), min_length=1, max_length=MOST_CHANNELS)

    class Meta:
        model = Rule
        fields = [
            "id", "name", "workflow", "kinds", "channels", "most", "within_seconds", "is_active", *VERSIONED,
        ]  # fmt: skip
        read_only_fields = ["id", *VERSIONED]

    def validate_channels(self, ids: list[UUID]) -> list[Channel]:
        found = Channel.objects.visible_to(self.context["request"].user).in_bulk(ids)
        if missing := {str(place): [NO_OBJECT] for place, id in enumerate(ids) if id not in found}:
            raise serializers.ValidationError(missing, code="does_not_exist")
        return list(found.values())

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        """Refuse a rule for all workflows by a token that is bound to some."""
        workflow = attrs.get("workflow", self.instance and self.instance.workflow)
        if workflow is None and is_bound(self.context["request"]):
            raise serializers.ValidationError({"workflow": NOT_BOUND})
        return attrs

    def create(self, validated_data: dict[str, object]) -> Rule:
        return self.update(Rule(), validated_data)

    @transaction.atomic
    def update(self, instance: Rule, validated_data: dict[str, object]) -> Rule:
        channels = validated_data.pop("channel_ids", None)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save()
        if isinstance(channels, list):
            check_channels(instance.owner_id, channels)
            instance.channels.set(channels)
        return instance


class NewAlertRuleSerializer(AlertRuleSerializer):
    of_site = serializers.BooleanField(required=False, write_only=True, help_text=OF_SITE)

    class Meta(AlertRuleSerializer.Meta):
        fields = [*AlertRuleSerializer.Meta.fields, "of_site"]


class AlertChannelSerializer(StrictTypes, StrictModelSerializer[Channel]):
    """A channel. `address` is of a webhook and of Slack, `secret` of a webhook: neither is ever shown, and both are
    kept if they are left out. `recipients` are of e-mail."""

    row = channel_row
    recipients = serializers.ListField(child=serializers.EmailField(), required=False, max_length=MOST_RECIPIENTS)
    address = serializers.CharField(required=False, write_only=True, max_length=MOST_CHARACTERS)
    secret = serializers.CharField(
        required=False, write_only=True, max_length=200, help_text="whsec_ and 24 to 64 bytes in base64."
    )

    class Meta:
        model = Channel
        fields = [
            "id", "name", "kind", "host", "recipients", "is_active", "failing_since", "disabled_at", *VERSIONED,
            "address", "secret",
        ]  # fmt: skip
        read_only_fields = ["id", "host", "failing_since", "disabled_at", *VERSIONED]

    def create(self, validated_data: dict[str, object]) -> Channel:
        return self.update(Channel(), validated_data)

    def update(self, instance: Channel, validated_data: dict[str, object]) -> Channel:
        for name, store in (("address", instance.set_address), ("secret", instance.set_secret)):
            if name in validated_data:
                store(str(validated_data.pop(name)))
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save()
        return instance


class NewAlertChannelSerializer(AlertChannelSerializer):
    """A new webhook without a `secret` gets one, which the response shows this once."""

    made_secret: str | None = None
    of_site = serializers.BooleanField(required=False, write_only=True, help_text=OF_SITE)

    class Meta(AlertChannelSerializer.Meta):
        fields = [*AlertChannelSerializer.Meta.fields, "of_site"]

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        """Make a secret for a webhook that has none."""
        if attrs["kind"] != ChannelKind.WEBHOOK or "secret" in attrs:
            return attrs
        if idempotency.HEADER in self.context["request"].headers:
            raise serializers.ValidationError({"secret": NOT_STORED})
        self.made_secret = make_secret()
        return attrs | {"secret": self.made_secret}

    def to_representation(self, instance: Channel) -> dict[str, object]:
        return {**super().to_representation(instance), "secret": self.made_secret}


class CreatedAlertChannelSerializer(AlertChannelSerializer):
    """A new channel as it is answered."""

    secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="The made secret of a webhook, shown this once; else null."
    )


class AlertDeliverySerializer(StrictModelSerializer[Delivery]):
    row = delivery_row
    message_id = serializers.CharField(source="__str__", read_only=True)
    rule = UUIDField(source="alert.rule_id", read_only=True)
    workflow = UUIDField(source="alert.workflow_id", read_only=True, allow_null=True)
    kind = ChoiceField(AlertKind.choices, source="alert.kind", read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id", "message_id", "channel", "rule", "workflow", "kind", "body", "state", "tries", "answer", "error",
            "created_at", "tried_at", "next_try_at",
        ]  # fmt: skip
        read_only_fields = fields


class SendAgainSerializer(StrictTypes, serializers.Serializer[None]):
    """Nothing: the request has no body."""
