"""URLs of the API: `path("api/v1/", include("executions.api.urls"))`, under any prefix."""

from django.urls import include, path
from rest_framework.routers import APIRootView, SimpleRouter

from ledgerkit.rest.api_prefix import NAMESPACE
from ledgerkit.rest.http_methods import METHODS
from tokens.base_views import LedgerView, UnknownAddressView
from workflows.api.views import WorkflowViewSet

from .schema.views import DocsView, SchemaView
from .views.activity import ActivityViewSet
from .views.attempts import AttemptsOfExecutionViewSet, AttemptsOfNodeExecutionViewSet
from .views.bulk_actions import BulkActionViewSet, RunsOfBulkActionViewSet
from .views.error_groups import (
    ErrorGroupViewSet,
    HistoryOfErrorGroupViewSet,
    OccurrencesOfErrorGroupViewSet,
)
from .views.events import EventsViewSet
from .views.history import HistoryOfExecutionViewSet
from .views.kept_runs import KeepOfExecutionViewSet
from .views.lineage import LineageViewSet
from .views.logs import LogGapsOfExecutionViewSet, LogsOfExecutionViewSet, LogViewSet
from .views.node_executions import NodeExecutionViewSet, NodesOfExecutionViewSet
from .views.notes import NotesOfExecutionViewSet
from .views.streams import stream_of_execution, stream_of_executions
from .views.workflow_executions import WorkflowExecutionViewSet

app_name = NAMESPACE


class ContentsView(LedgerView, APIRootView):
    http_method_names = METHODS


# Django tries one address after another, and one that begins otherwise leaves out all that follow it here.
nodes = SimpleRouter(use_regex_path=False)
nodes.register("", NodeExecutionViewSet, "node-execution")

of_node_execution = SimpleRouter(use_regex_path=False)
of_node_execution.register("attempts", AttemptsOfNodeExecutionViewSet, "node-execution-attempt")

runs = SimpleRouter(use_regex_path=False)
runs.register("", WorkflowExecutionViewSet, "execution")

of_execution = SimpleRouter(use_regex_path=False)
of_execution.register("nodes", NodesOfExecutionViewSet, "execution-node")
of_execution.register("logs", LogsOfExecutionViewSet, "execution-log")
of_execution.register("history", HistoryOfExecutionViewSet, "execution-history")
of_execution.register("attempts", AttemptsOfExecutionViewSet, "execution-attempt")

others = SimpleRouter(use_regex_path=False)
others.register("workflows", WorkflowViewSet, "workflow")
others.register("logs", LogViewSet, "log")

of_runs = [
    path("stream/", stream_of_executions, name="executions-stream"),
    path("<uuid:execution_id>/", include(of_execution.urls)),
    *runs.urls,
    path("<uuid:execution_id>/stream/", stream_of_execution, name="execution-stream"),
    path(
        "<uuid:execution_id>/logs/gaps/",
        LogGapsOfExecutionViewSet.as_view({"get": "gaps"}, basename="execution-log"),
        name="execution-log-gaps",
    ),
    path(
        "<uuid:execution_id>/keep/",
        KeepOfExecutionViewSet.as_view({"get": "read", "put": "keep", "delete": "release"}, basename="execution-keep"),
        name="execution-keep",
    ),
    path(
        "<uuid:execution_id>/notes/",
        NotesOfExecutionViewSet.as_view({"get": "read", "post": "write"}, basename="execution-note"),
        name="execution-notes",
    ),
    path(
        "<uuid:execution_id>/notes/<int:number>/",
        NotesOfExecutionViewSet.as_view({"patch": "edit", "delete": "remove"}, basename="execution-note"),
        name="execution-note",
    ),
    path(
        "activity/", ActivityViewSet.as_view({"get": "list"}, basename="execution-activity"), name="execution-activity"
    ),
    path(
        "actions/",
        BulkActionViewSet.as_view({"get": "list", "post": "begin"}, basename="execution-action"),
        name="execution-actions",
    ),
    path(
        "actions/<uuid:pk>/",
        BulkActionViewSet.as_view({"get": "retrieve"}, basename="execution-action"),
        name="execution-action",
    ),
    path(
        "actions/<uuid:pk>/stop/",
        BulkActionViewSet.as_view({"post": "stop"}, basename="execution-action"),
        name="execution-action-stop",
    ),
    path(
        "actions/<uuid:action_id>/runs/",
        RunsOfBulkActionViewSet.as_view({"get": "list"}, basename="execution-action-run"),
        name="execution-action-runs",
    ),
]

of_error_groups = [
    path("", ErrorGroupViewSet.as_view({"get": "list"}, basename="error-group"), name="error-groups"),
    path(
        "<uuid:pk>/",
        ErrorGroupViewSet.as_view({"get": "retrieve", "patch": "change"}, basename="error-group", detail=True),
        name="error-group",
    ),
    *(
        path(
            f"<uuid:pk>/{address}/",
            ErrorGroupViewSet.as_view({"post": action}, basename="error-group", detail=True),
            name=f"error-group-{action}",
        )
        for address, action in (("merge", "merge"), ("split", "split"), ("notes", "note"))
    ),
    path(
        "<uuid:pk>/occurrences/",
        OccurrencesOfErrorGroupViewSet.as_view({"get": "list"}, basename="error-occurrence"),
        name="error-occurrences",
    ),
    path(
        "<uuid:pk>/history/",
        HistoryOfErrorGroupViewSet.as_view({"get": "list"}, basename="error-group-history"),
        name="error-group-history",
    ),
]

CONTENTS = {
    "node-executions": "node-execution-list",
    "executions": "execution-list",
    "workflows": "workflow-list",
    "logs": "log-list",
}

# First what engines call most.
urlpatterns = [
    path(
        "node-executions/", include([*nodes.urls, path("<uuid:node_execution_id>/", include(of_node_execution.urls))])
    ),
    path("executions/", include(of_runs)),
    path("events/", EventsViewSet.as_view({"post": "report"}, basename="event"), name="events"),
    path("lineage", LineageViewSet.as_view({"post": "report"}, basename="lineage"), name="lineage"),
    path("error-groups/", include(of_error_groups)),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    path("", include(others.urls)),
    path("", ContentsView.as_view(api_root_dict=CONTENTS), name="api-root"),
    path("<path:address>", UnknownAddressView.as_view()),
]
