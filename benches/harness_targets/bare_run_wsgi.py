"""The bare Django views of the harness, and one more for a run. It is served in the harness's folder of servers."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_wsgi import Run, app, reply, urlpatterns

__all__ = ["app"]


def show_run(_request: HttpRequest, pk: UUID) -> HttpResponse:
    answer: HttpResponse = reply(Run.objects.values().get(pk=pk))
    return answer


urlpatterns.append(path("runs/<uuid:pk>", show_run))
