"""URLs of alerts: `path("api/v1/", include("alerts.api.urls"))`, before those of the ledger."""

from django.urls import include, path

from .alert_views import AlertChannelViewSet, AlertDeliveryViewSet, AlertRuleViewSet
from .expectation_views import ExpectationsOfWorkflowViewSet

app_name = "alerts"

# Without a router, which would add PUT.
of_alerts = [
    path("rules/", AlertRuleViewSet.as_view({"get": "list", "post": "create"}, basename="rule"), name="rules"),
    path(
        "rules/<uuid:pk>/",
        AlertRuleViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, basename="rule", detail=True
        ),
        name="rule",
    ),
    path(
        "channels/",
        AlertChannelViewSet.as_view({"get": "list", "post": "create"}, basename="channel"),
        name="channels",
    ),
    path(
        "channels/<uuid:pk>/",
        AlertChannelViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}, basename="channel", detail=True
        ),
        name="channel",
    ),
    path("deliveries/", AlertDeliveryViewSet.as_view({"get": "list"}, basename="delivery"), name="deliveries"),
    path(
        "deliveries/<uuid:pk>/send-again/",
        AlertDeliveryViewSet.as_view({"post": "send_again"}, basename="delivery", detail=True),
        name="delivery-send-again",
    ),
]

urlpatterns = [
    path("alerts/", include(of_alerts)),
    path(
        "workflows/<uuid:workflow_id>/expectations/",
        ExpectationsOfWorkflowViewSet.as_view({"get": "read", "put": "replace"}, basename="expectation"),
        name="workflow-expectations",
    ),
]
