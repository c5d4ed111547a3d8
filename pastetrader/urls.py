"""Every address of the site: the admin for people, the API for programs."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]
if find_spec("executions") and find_spec("executions.api") and find_spec("executions.api.urls"):
    urlpatterns += [path("api/v1/", include("executions.api.urls"))]

