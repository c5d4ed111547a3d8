from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from executions.facts.refusals import BadFact, NotFacts, Refusal
from executions.imports import openlineage, record_lineage
from executions.imports.conversion import NotImportable
from executions.imports.openlineage import Event
from ledgerkit.rest.fields import ObjectField
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.parsers import BadBody
from ledgerkit.rest.schema import extend_schema
from tokens.base_views import LedgerView
from tokens.models import Scope, Token
from tokens.permissions import limit_to_token
from workflows.models import Workflow

from .events import RUNS, caller_of, check_may, may_import

MAX_EVENTS = 1_000
BOUND = "This token is limited to other workflows and cannot create or change this one."


class RefusedEvent(APIException):
    """The rules of the ledger do not allow what an event reports."""

    status_code = 409

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail, refusal.code)


class RunEventSerializer(serializers.Serializer[Any]):
    """The form of an event for the schema, without what the ledger does not read."""

    takes_unknown_fields = True

    eventTime = serializers.DateTimeField(help_text="Time of the event, with its zone.")  # noqa: N815  # names of OpenLineage
    eventType = serializers.CharField(required=False)  # noqa: N815  # the name in OpenLineage
    schemaURL = serializers.CharField()  # noqa: N815  # the name in OpenLineage
    run = ObjectField(help_text="`runId`, and `facets`: of these `parent` and `errorMessage` are read.")
    job = ObjectField(help_text="`namespace`, `name`, and `facets`.")
    inputs = serializers.ListField(required=False)
    outputs = serializers.ListField(required=False)


class LineageOutcomeSerializer(serializers.Serializer[Any]):
    """Count the events, and the facts that they became."""

    events = serializers.IntegerField(
        help_text="Number of stored events. Events about jobs and datasets alone are not stored."
    )
    applied = serializers.IntegerField()
    known = serializers.IntegerField()


@extend_schema(tags=["events"])
class LineageViewSet(LedgerView, GenericViewSet[Any]):
    """Events of OpenLineage, as its HTTP transport sends them."""

    http_method_names = METHODS
    serializer_class = LineageOutcomeSerializer
    reads = Scope.EXECUTIONS_READ
    grants = {"report": RUNS["complete"]}

    @extend_schema(
        operation_id="reportLineage",
        summary="Report events of OpenLineage",
        description=(
            "One RunEvent or a list of them, in any order and repeated: the state of a run is that of all its events. "
            "An event without a parent is about a run, one with a parent about a node of it. Workflows and nodes that "
            "are not there are made, for which a token needs the scope `workflows:write` too."
        ),
        request=RunEventSerializer,
    )
    def report(self, request: Request, **kwargs: object) -> Response:
        """Record the events. A batch with one that is not well-formed is refused as a whole."""
        events = _read(request.data)
        try:
            outcome = record_lineage.record(
                events, caller_of(request), request.user, imports=may_import(request),
                may_write=lambda workflow: _check_may_write(request, workflow),
            )  # fmt: skip
        except NotImportable as error:
            raise BadBody("/job/name", str(error)) from None
        except NotFacts as error:
            raise BadBody("", str(error)) from None
        if outcome.refusals:
            raise _error_of(outcome.refusals[0])
        return Response({"events": len(events), "applied": outcome.applied, "known": outcome.known})


def _read(body: object) -> list[Event]:
    documents, prefix = (body, "/{}") if isinstance(body, list) else ([body], "")
    if len(documents) > MAX_EVENTS:
        raise BadBody("", f"Expected at most {MAX_EVENTS} events in one call; found {len(documents)}.")
    found = [_read_event(document, prefix.format(number)) for number, document in enumerate(documents)]
    return [event for event in found if event is not None]


def _read_event(document: object, pointer: str) -> Event | None:
    if not isinstance(document, dict):
        raise BadBody(pointer, "Expected an event: an object.")
    try:
        return openlineage.read(document)
    except NotImportable as error:
        place, _colon, sentence = str(error).partition(": ")
        raise BadBody(f"{pointer}/{place.replace('.', '/')}", sentence) from None


def _check_may_write(request: Request, workflow: Workflow | None) -> None:
    """Raise PermissionDenied for a caller who may not make this workflow, or add nodes to it."""
    try:
        check_may(request, "workflow.ensure", request.user.pk)
    except BadFact as error:
        raise PermissionDenied(error.detail) from None
    is_bound = isinstance(request.auth, Token) and request.auth.bound_to
    if is_bound and (workflow is None or not _is_visible(request, workflow)):
        raise PermissionDenied(BOUND)


def _is_visible(request: Request, workflow: Workflow) -> bool:
    return limit_to_token(Workflow.objects.filter(pk=workflow.pk), request, "id").exists()


def _error_of(refusal: Refusal) -> Exception:
    if refusal.code == "permission_denied":
        return PermissionDenied(refusal.detail)
    if refusal.code in {"invalid", "at_in_future", "too_large"}:
        return BadBody("", refusal.detail)
    return RefusedEvent(refusal)
