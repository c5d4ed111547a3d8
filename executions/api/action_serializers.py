"""Serializers of the bodies of actions, such as `fail`."""

from rest_framework import serializers

from executions.leases import MAX_SECONDS, MAX_WORKER
from ledgerkit.rest.fields import MomentField, NameField, ObjectField, UUID7Field, UUIDField
from ledgerkit.rest.strict_types import StrictTypes


class ActionSerializer(StrictTypes, serializers.Serializer[None]):
    """Body of a transition. `at` is the time of the transition by the engine's clock; it defaults to the server's
    time."""

    at = MomentField(required=False, allow_null=True)


class StartSerializer(ActionSerializer):
    """A start that may name a worker, or a lease in seconds: the response then has the token of the attempt."""

    worker = NameField(required=False, max_length=MAX_WORKER)
    lease_seconds = serializers.IntegerField(required=False, min_value=1, max_value=MAX_SECONDS)


class StartNodeSerializer(StartSerializer):
    """Body of a start. `run_token` is the token of the run's attempt: a worker whose run was given to another one
    starts no node."""

    run_token = UUIDField(required=False, allow_null=True)


class SkipSerializer(ActionSerializer):
    run_token = UUIDField(required=False, allow_null=True)


class HeartbeatSerializer(StrictTypes, serializers.Serializer[None]):
    """Body of a heartbeat. `lease_seconds` replaces those of the lease."""

    token = UUIDField()
    lease_seconds = serializers.IntegerField(required=False, min_value=1, max_value=MAX_SECONDS)


class ReportSerializer(ActionSerializer):
    """Body of a report. `token` is that of the attempt that reports, as its start returned it."""

    token = UUIDField(required=False, allow_null=True)


class ReasonSerializer(ActionSerializer):
    """Body with a reason. `reason` is stored in the history of the run."""

    reason = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class RetrySerializer(ReasonSerializer):
    """The body of a retry. `override_max_retries` retries failed nodes once more than their `max_retries`; it needs a
    `reason`."""

    override_max_retries = serializers.BooleanField(required=False, default=False)


class RerunSerializer(StrictTypes, serializers.Serializer[None]):
    """The new run has the `input_data` of the old one unless it is given. `from_node` is the id or the name of a node
    that the run has executed: the engine starts there. `reason` is stored in the history of the new run."""

    id = UUID7Field(required=False)
    input_data = ObjectField(required=False)
    from_node = serializers.CharField(required=False, allow_null=True)
    reason = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class DeleteSerializer(StrictTypes, serializers.Serializer[None]):
    """Body of a deletion. `reason` is stored in the record of the deletion."""

    reason = serializers.CharField()


class CompleteSerializer(ReportSerializer):
    output_data = serializers.JSONField(required=False, allow_null=True)  # complete() checks its size


class CompleteNodeSerializer(CompleteSerializer):
    """Body of a completion. `run_token` is the token of the run's attempt, for a node that was started without a
    lease."""

    run_token = UUIDField(required=False, allow_null=True)


class FailSerializer(ReportSerializer):
    """A missing or empty message becomes a sentence, with the class of the exception if the traceback ends with it."""

    error_message = serializers.CharField(trim_whitespace=False, default="", allow_blank=True, allow_null=True)


class FailNodeSerializer(FailSerializer):
    error_traceback = serializers.CharField(trim_whitespace=False, required=False, allow_null=True, allow_blank=True)
    run_token = UUIDField(required=False, allow_null=True)
