"""URLs of the API: `path("api/v1/", include("executions.api.urls"))`, under any prefix."""

from django.urls import include, path
from rest_framework.routers import APIRootView, DefaultRouter, SimpleRouter

from ledgerkit.rest.api_prefix import NAMESPACE
from ledgerkit.rest.http_methods import METHODS
from tokens.base_views import LedgerView, UnknownAddressView
from workflows.api.views import WorkflowViewSet

from .schema.views import DocsView, SchemaView
from .views.attempts import AttemptsOfExecutionViewSet, AttemptsOfNodeExecutionViewSet
from .views.bulk_actions import BulkActionViewSet, RunsOfBulkActionViewSet
from .views.events import EventsViewSet
from .views.history import HistoryOfExecutionViewSet
from .views.kept import KeepOfExecutionViewSet
from .views.lineage import LineageViewSet
from .views.logs import LogGapsOfExecutionViewSet, LogsOfExecutionViewSet, LogViewSet
from .views.node_executions import NodeExecutionViewSet, NodesOfExecutionViewSet
from .views.streams import stream_of_execution, stream_of_executions
from .views.workflow_executions import WorkflowExecutionViewSet

app_name = NAMESPACE


class ContentsView(LedgerView, APIRootView):
    http_method_names = METHODS


router = DefaultRouter(use_regex_path=False)
router.include_format_suffixes = False
router.APIRootView = ContentsView
# Django tries one after another: first what engines call most.
router.register("node-executions", NodeExecutionViewSet, "node-execution")
router.register("executions", WorkflowExecutionViewSet, "execution")
router.register("workflows", WorkflowViewSet, "workflow")
router.register("logs", LogViewSet, "log")

of_execution = SimpleRouter(use_regex_path=False)
of_execution.register("nodes", NodesOfExecutionViewSet, "execution-node")
of_execution.register("logs", LogsOfExecutionViewSet, "execution-log")
of_execution.register("history", HistoryOfExecutionViewSet, "execution-history")
of_execution.register("attempts", AttemptsOfExecutionViewSet, "execution-attempt")

of_node_execution = SimpleRouter(use_regex_path=False)
of_node_execution.register("attempts", AttemptsOfNodeExecutionViewSet, "node-execution-attempt")

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("events/", EventsViewSet.as_view({"post": "report"}, basename="event"), name="events"),
    path("lineage", LineageViewSet.as_view({"post": "report"}, basename="lineage"), name="lineage"),
    path("docs/", DocsView.as_view(), name="docs"),
    path("executions/stream/", stream_of_executions, name="executions-stream"),
    path("executions/<uuid:execution_id>/stream/", stream_of_execution, name="execution-stream"),
    path(
        "executions/<uuid:execution_id>/logs/gaps/",
        LogGapsOfExecutionViewSet.as_view({"get": "gaps"}, basename="execution-log"),
        name="execution-log-gaps",
    ),
    path(
        "executions/<uuid:execution_id>/keep/",
        KeepOfExecutionViewSet.as_view({"get": "read", "put": "keep", "delete": "release"}, basename="execution-keep"),
        name="execution-keep",
    ),
    path("executions/<uuid:execution_id>/", include(of_execution.urls)),
    path("node-executions/<uuid:node_execution_id>/", include(of_node_execution.urls)),
    path("", include(router.urls)),
    path(
        "executions/actions/",
        BulkActionViewSet.as_view({"get": "list", "post": "begin"}, basename="execution-action"),
        name="execution-actions",
    ),
    path(
        "executions/actions/<uuid:pk>/",
        BulkActionViewSet.as_view({"get": "retrieve"}, basename="execution-action"),
        name="execution-action",
    ),
    path(
        "executions/actions/<uuid:pk>/stop/",
        BulkActionViewSet.as_view({"post": "stop"}, basename="execution-action"),
        name="execution-action-stop",
    ),
    path(
        "executions/actions/<uuid:action_id>/runs/",
        RunsOfBulkActionViewSet.as_view({"get": "list"}, basename="execution-action-run"),
        name="execution-action-runs",
    ),
    path("<path:address>", UnknownAddressView.as_view()),
]
