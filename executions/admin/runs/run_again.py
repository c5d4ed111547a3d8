"""Pages with one form: run a run again, with the same input or another, and start a workflow by hand."""

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executions import limits, rerun
from executions.admin.filters.visible_workflows import visible_workflows
from executions.admin.types import Context
from executions.audit import act_as
from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import can_see_nodes_and_logs
from ledgerkit.admin.confirmation import MAX_REASON
from ledgerkit.db.models import parse_uuid, uuid7
from workflows import input_schemas
from workflows.admin.fields import StorableJSONField
from workflows.models import Workflow
from workflows.secret_keys import MASK

from .engine_activity import find_engine_activity

if TYPE_CHECKING:
    from .run_admin import WorkflowExecutionAdmin

type Create = Callable[["RunForm"], WorkflowExecution]

NOT_AN_OBJECT = gettext_lazy("The input is an object: {…}.")
NOT_OURS = gettext_lazy("This page has another id than it was made with: open it again.")
FROM_THE_BEGINNING = gettext_lazy("From the beginning")
TEXT_AREA = {"rows": 12, "cols": 80, "spellcheck": "false"}


class IndentedJSONField(StorableJSONField):
    """JSON that is shown with a line for each value."""

    def prepare_value(self, value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


class RunForm(forms.Form):
    """The input of a new run, why it is made, and its id: a form that is sent twice makes one run."""

    id = forms.UUIDField(widget=forms.HiddenInput)
    input_data = IndentedJSONField(
        label=gettext_lazy("Input"), required=False, empty=dict, widget=forms.Textarea(TEXT_AREA)
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason (may stay empty)"),
        required=False,
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 2, "cols": 60}),
    )

    def clean_id(self) -> UUID:
        """Return the id. It is refused if somebody has replaced it by one without a time."""
        id: UUID = self.cleaned_data["id"]
        if id.version != 7:  # of RFC 9562
            raise ValidationError(NOT_OURS)
        return id

    def clean_input_data(self) -> object:
        if not isinstance(found := self.cleaned_data["input_data"], dict):
            raise ValidationError(NOT_AN_OBJECT)
        return found


class RunAgainForm(RunForm):
    from_node = forms.ChoiceField(label=gettext_lazy("Start"), required=False, widget=forms.RadioSelect)
    field_order = ("id", "from_node", "input_data", "reason")

    def __init__(self, nodes: list[NodeExecution], *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # what Form takes
        self.fields["from_node"].choices = [  # type: ignore[attr-defined]  # of a ChoiceField
            ("", FROM_THE_BEGINNING),
            *((str(node.node_id), _("At “%(node)s”") % {"node": node.node_name}) for node in nodes),
        ]


def urls(model_admin: "WorkflowExecutionAdmin") -> list[URLPattern]:
    def at(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        return path(route, model_admin.admin_site.admin_view(partial(view, model_admin)), name=name)

    return [
        at("<uuid:pk>/rerun/", run_again_view, "executions_rerun"),
        at("start/<uuid:pk>/", start_view, "executions_start"),
    ]


def run_again_view(model_admin: "WorkflowExecutionAdmin", request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for the input of a new run, and where it starts; then create it."""
    _check_permission(model_admin, request)
    runs = WorkflowExecution.objects.visible_to(request.user).select_related("workflow", "graph")
    run = runs.defer("encrypted_secrets", "output_data").filter(pk=pk).first()
    if run is None:
        return model_admin.not_found_response(request, str(pk))
    nodes = _offered_nodes(request, run)
    first = {"id": uuid7(), "input_data": run.input_data, "from_node": request.GET.get("from_node", "")}
    form = RunAgainForm(nodes, request.POST or None, initial=first)

    def create(form: RunForm) -> WorkflowExecution:
        given = form.cleaned_data
        return run.rerun(given["input_data"], from_node=given["from_node"] or None, id=given["id"])

    title = _("Run %(workflow)s again") % {"workflow": run.workflow_name}
    return _answer(model_admin, request, form, create, run.workflow, {"title": title, "run": run})


def start_view(model_admin: "WorkflowExecutionAdmin", request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for the input of a run of the workflow, then create it."""
    _check_permission(model_admin, request)
    found = visible_workflows(request.user).filter(pk=pk).first()
    if found is None:
        return model_admin.not_found_response(request, str(pk))
    form = RunForm(request.POST or None, initial={"id": uuid7(), "input_data": {}})

    def create(form: RunForm) -> WorkflowExecution:
        return rerun.start_by_hand(found, form.cleaned_data["input_data"], form.cleaned_data["id"])

    title = _("Start %(workflow)s") % {"workflow": found.name}
    return _answer(model_admin, request, form, create, found, {"title": title})


def _check_permission(model_admin: "WorkflowExecutionAdmin", request: HttpRequest) -> None:
    if not (model_admin.has_view_permission(request) and model_admin.has_change_permission(request)):
        raise PermissionDenied("executions.change_workflowexecution")


def _offered_nodes(request: HttpRequest, run: WorkflowExecution) -> list[NodeExecution]:
    """Return the nodes at which the new run may start: those that failed, and the one that the address names."""
    sees_nodes, _lines = can_see_nodes_and_logs(request.user, run)
    if not sees_nodes:
        return []
    rows = run.node_executions.only("node", "node_name", "workflow_execution").order_by("execution_order", "id")
    failed = list(rows.failed()[: limits.FAILED_NODES])
    named = parse_uuid(request.GET.get("from_node"))
    is_offered = named is None or named in {row.node_id for row in failed}
    return failed if is_offered else [*failed, *rows.filter(node=named)[:1]]


def _answer(
    model_admin: "WorkflowExecutionAdmin",
    request: HttpRequest,
    form: RunForm,
    create: Create,
    workflow: Workflow,
    shown: Context,
) -> HttpResponse:
    """Create the run and show its page; show the form as long as something is wrong."""
    if form.is_bound and form.is_valid() and (new := _create(request, form, create)):
        model_admin.log_addition(request, new, shown["title"])
        model_admin.message_user(request, _("The new run waits until an engine starts it."))
        return redirect("admin:executions_workflowexecution_change", new.pk)
    known = {
        "form": form,
        "workflow": workflow,
        "opts": model_admin.opts,
        "signs": find_engine_activity(workflow.pk),
        "has_schema": bool(input_schemas.schemas_of(workflow)),
        "masks": MASK in str(form["input_data"].value()),
        "mask": MASK,
    }
    context = model_admin.admin_site.each_context(request) | known | shown
    return TemplateResponse(request, "admin/executions/run_again.html", context)


def _create(request: HttpRequest, form: RunForm, create: Create) -> WorkflowExecution | None:
    """Return the new run, or that of the same form if it was sent before. None, with errors in the form, if the input
    is refused."""
    try:
        with act_as(reason=form.cleaned_data["reason"]):
            return create(form)
    except ValidationError as error:
        for field, faults in error.message_dict.items():
            form.add_error(field if field in form.fields else None, faults)
    except IntegrityError:
        made = WorkflowExecution.objects.visible_to(request.user).filter(pk=form.cleaned_data["id"]).first()
        if made is None:
            raise
        return made
    return None
