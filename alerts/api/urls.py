"""URLs of expectations: `path("api/v1/", include("alerts.api.urls"))`, before those of the ledger."""

from django.urls import path

from .views import ExpectationsOfWorkflowViewSet

app_name = "alerts"

urlpatterns = [
    path(
        "workflows/<uuid:workflow_id>/expectations/",
        ExpectationsOfWorkflowViewSet.as_view({"get": "read", "put": "replace"}, basename="expectation"),
        name="workflow-expectations",
    )
]
