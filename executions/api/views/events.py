from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.http import parse_http_date_safe
from rest_framework import parsers, serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from executions import metrics
from executions.facts import batch_recording
from executions.facts.body_decoding import Decoded, decode_array, decode_lines
from executions.facts.call_outcome import Notice, Outcome
from executions.facts.caller import Caller
from executions.facts.fact_kinds import KINDS
from executions.facts.refusals import NO_RUN, BadFact, NotFacts, Refusal
from executions.facts.workflow_definitions import check_total
from executions.models import ExecutionStatus
from executions.querysets import can_see
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.json_validation import LARGE, has_more_elements
from ledgerkit.db.pool import release_connection
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.parsers import TooManyElements
from ledgerkit.rest.problems import exception_handler
from ledgerkit.rest.schema import extend_schema
from tokens.base_views import LedgerView
from tokens.models import Scope, Token
from tokens.permissions import ScopePermission
from workflows.api.views import WorkflowViewSet
from workflows.querysets import can_view_all

from .logs import LogsOfExecutionViewSet
from .node_executions import NodeExecutionViewSet, NodesOfExecutionViewSet
from .workflow_executions import WorkflowExecutionViewSet

MAX_PARTITIONS = 100  # made by one call: each waits for every transaction that has written a run
RUNS, NODES = WorkflowExecutionViewSet.grants, NodeExecutionViewSet.grants
# Who may report a fact: who may make the call for one row.
GRANTS: Mapping[str, tuple[str, str]] = {
    **{f"execution.{action}": grant for action, grant in RUNS.items()},
    **{f"node.{action}": grant for action, grant in NODES.items()},
    "node.create": NodesOfExecutionViewSet.grants["create"],
    "execution.observe": RUNS["start"],
    "node.observe": NODES["start"],
    "log": LogsOfExecutionViewSet.grants["create"],
    "workflow.ensure": WorkflowViewSet.grants["ensure"],
}


@dataclass(frozen=True)
class FactAction:
    """The report of one kind of fact, as a view and as the row that it changes, for ScopePermission."""

    action: str
    owner_id: object
    reads = Scope.EXECUTIONS_READ
    grants = GRANTS


class FactsParser(parsers.BaseParser):
    """Parser of a JSON array of facts."""

    media_type = "application/json"
    decode: Callable[..., Decoded] = staticmethod(decode_array)

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read()
        if len(body) > LARGE:
            release_connection()
        if has_more_elements(body, ledgerkit_settings.MAX_BODY_ELEMENTS):
            raise TooManyElements
        try:
            request = parser_context["request"]
            return self.decode(body, imports=may_import(request), sent_at=sent_at(request))
        except NotFacts as error:
            raise ParseError(str(error)) from None


class FactLinesParser(FactsParser):
    """Parser of NDJSON, with a fact in each line."""

    media_type = "application/x-ndjson"
    decode = staticmethod(decode_lines)


def sent_at(request: Request) -> datetime | None:
    """Return the time of the request by the client's clock, if it says so."""
    seconds = parse_http_date_safe(request.META.get("HTTP_DATE", ""))
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def may_import(request: Request) -> bool:
    """Return whether ids of log lines may be of any time."""
    return isinstance(request.auth, Token) and Scope.EXECUTIONS_IMPORT in request.auth.scopes


def is_large(request: Request) -> bool:
    return int(request.META.get("CONTENT_LENGTH") or 0) > LARGE


class RefusalSerializer(serializers.Serializer[Any]):
    """A fact that was refused, and with it every other fact of its run in this call."""

    index = serializers.IntegerField(help_text="Position of the fact in the call, from 0.")
    workflow_execution = serializers.UUIDField(
        allow_null=True, help_text="Run of the fact; null if the fact does not name it."
    )
    code = serializers.CharField()
    detail = serializers.CharField()
    current_state = serializers.ChoiceField(
        ExecutionStatus.choices, allow_null=True, help_text="Current state, if the transition was refused."
    )
    version = serializers.IntegerField(allow_null=True, help_text="Current version, if the transition was refused.")


class NoticeSerializer(serializers.Serializer[Any]):
    """Somebody else has cancelled, retried or ended the run, or cancelled a node of it; or it waited in the queue of
    its workflow and may start."""

    workflow_execution = serializers.UUIDField()
    node_execution = serializers.UUIDField(
        required=False, help_text="The id of the cancelled node execution, in a notice `cancel_node`."
    )
    act = serializers.ChoiceField(["cancel", "retry", "end", "cancel_node", "startable"])
    status = serializers.ChoiceField(ExecutionStatus.choices)
    attempt = serializers.IntegerField()


class TokenOfStartSerializer(serializers.Serializer[None]):
    """The token of an attempt that was started with a worker, a lease or a token of the caller's choice."""

    index = serializers.IntegerField(help_text="The place of the start in the call, from 0.")
    id = serializers.UUIDField(help_text="The run or the node execution.")
    attempt = serializers.IntegerField()
    token = serializers.UUIDField()


class OutcomeSerializer(serializers.Serializer[Any]):
    """Count the facts that were applied, were known already, or were refused."""

    applied = serializers.IntegerField()
    known = serializers.IntegerField()
    refused = serializers.IntegerField()
    refusals = RefusalSerializer(many=True)
    notices = NoticeSerializer(many=True)
    tokens = TokenOfStartSerializer(many=True, required=False, help_text="Tokens of the starts that asked for a lease.")


@extend_schema(tags=["events"])
class EventsViewSet(LedgerView, GenericViewSet[Any]):
    """Many facts of many runs in one call."""

    http_method_names = METHODS
    parser_classes = [FactsParser, FactLinesParser]
    serializer_class = OutcomeSerializer
    reads = Scope.EXECUTIONS_READ
    grants = {"report": RUNS["complete"]}
    fact_kinds = KINDS  # for the schema

    @extend_schema(
        operation_id="reportEvents",
        summary="Report many facts of many runs",
        description=(
            "A JSON array, or NDJSON with a fact in each line: up to 10,000. The facts of one run are applied in their "
            "order, and all of them or none; a refused one does not touch another run. Sent again, they change "
            "nothing. `cancel` and `retry` need the scope `executions:control` too, `workflow.ensure` "
            "`workflows:write`."
        ),
    )
    def report(self, request: Request, **kwargs: object) -> Response:
        """Apply the facts. Return the result of each."""
        decoded: Any = request.data
        if not isinstance(decoded, Decoded):  # without a body there is nothing to parse
            raise ParseError("Expected a list of facts.")
        caller = caller_of(request)
        try:
            check_total(decoded.workflows)
            definitions = self._ensure_workflows(decoded)
            outcome = batch_recording.report(decoded.facts, decoded.refusals, caller)
        except NotFacts as error:
            raise ParseError(str(error)) from None
        numbers = {
            "applied": outcome.applied + definitions["made"] + definitions["changed"],
            "known": outcome.known + definitions["found"],
            "refused": outcome.refused,
        }
        metrics.count_batch(numbers, (refusal.code for refusal in outcome.refusals))
        return Response(
            {
                **numbers,
                "refusals": [refusal_row(refusal) for refusal in outcome.refusals],
                "notices": [notice_row(notice) for notice in outcome.notices],
                **({"tokens": tokens} if (tokens := token_rows(outcome)) else {}),
            }
        )

    def _ensure_workflows(self, decoded: Decoded) -> Counter[str]:
        """Find, create or update each workflow by itself, as `POST workflows/ensure/` does. Return counts by what was
        done."""
        view = WorkflowViewSet(request=self.request, action="ensure", format_kwarg=None)
        done: Counter[str] = Counter()
        for indexes, body in decoded.workflows:
            try:
                check_may(self.request, "workflow.ensure", self.request.user.pk)
                _row, what = view.find_or_make(body)
                done[what] += 1
                done["found"] += len(indexes) - 1
            except (BadFact, APIException, ValidationError, ValueError) as error:
                decoded.refusals.extend(refusal_of_workflow(index, error) for index in indexes)
        return done


def caller_of(request: Request) -> Caller:
    return Caller(
        user=request.user.pk,
        may=cache(lambda kind, owner: check_may(request, kind, owner)),
        release=release_connection if is_large(request) else lambda: None,
        sees_all_runs=can_view_all(request.user, "executions.view_workflowexecution"),
        sees_all_workflows=can_view_all(request.user, "workflows.view_workflow"),
        bound_to=request.auth.bound_to if isinstance(request.auth, Token) else (),
        max_partitions=MAX_PARTITIONS,
    )


def refusal_of_workflow(index: int, error: Exception) -> Refusal:
    """Return the refusal of a definition, with the first of its faults."""
    if isinstance(error, BadFact):
        return Refusal.from_error(index, None, error)
    problem = exception_handler(error, {"request": None, "kwargs": {}})
    body: Any = problem.data if problem is not None else {"code": "invalid", "detail": str(error)}
    fault = next(iter(body.get("errors", ())), None)
    detail = f"/workflow{fault['pointer']}: {fault['detail']}" if fault else body["detail"]
    return Refusal.from_error(index, None, BadFact(body["code"], detail))


def check_may(request: Request, kind: str, owner: object) -> None:
    """Raise BadFact unless the caller may report this of a run whose workflow has that owner: what the calls for one
    row ask."""
    permission, action = ScopePermission(), FactAction(kind, owner)
    is_granted = permission.has_permission(request, action)
    if not (is_granted and permission.has_object_permission(request, action, action)):
        raise BadFact("permission_denied", permission.message)
    if kind.startswith("node.") and not can_see(request.user, "nodeexecution", owner):
        raise BadFact("not_found", NO_RUN)


def refusal_row(refusal: Refusal) -> dict[str, object]:
    return {
        "index": refusal.index,
        "workflow_execution": refusal.run and str(refusal.run),
        "code": refusal.code,
        "detail": refusal.detail,
        "current_state": refusal.current_state,
        "version": refusal.version,
    }


def token_rows(outcome: Outcome) -> list[dict[str, object]]:
    return [
        {"index": index, "id": str(lease.row), "attempt": lease.attempt, "token": str(lease.token)}
        for index, lease in sorted(outcome.tokens.items())
    ]


def notice_row(notice: Notice) -> dict[str, object]:
    return {
        "workflow_execution": str(notice.run),
        **({"node_execution": str(notice.node)} if notice.node else {}),
        "act": notice.act,
        "status": notice.status,
        "attempt": notice.attempt,
    }
