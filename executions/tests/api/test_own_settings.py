"""The API responds the same whatever the project's REST_FRAMEWORK, SPECTACULAR_SETTINGS, language and time zone are."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from rest_framework.settings import DEFAULTS, api_settings
from rest_framework.test import APIClient

from executions.api.schema.generator import LedgerSchemaGenerator
from executions.models import WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.rest.api_prefix import is_api
from pastetrader.tests.live_server import ROOT
from tokens.base_views import LedgerView

HOSTILE = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day", "read": "1/day", "write": "1/day"},
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 1,
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "rest_framework.tests.none",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "rest_framework.views.exception_handler",
    "NON_FIELD_ERRORS_KEY": "everything",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": "as",
    "FORMAT_SUFFIX_KWARG": "suffix",
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "COMPACT_JSON": False,
    "UNICODE_JSON": False,
    "STRICT_JSON": False,
}
# The API under another prefix, for the last test.
urlpatterns = [path("some/ledger/", include("executions.api.urls"))]
# A settings module of its own: REST framework reads most defaults once, into attributes of its classes.
MODULE = """
import json, sys, types
from pastetrader import settings as ours
module = types.ModuleType("hostile", "")
vars(module).update(vars(ours), REST_FRAMEWORK=json.loads(sys.argv[1]), DEBUG=True)
module.SPECTACULAR_SETTINGS = {"TITLE": "Another", "OAS_VERSION": "3.0.3", "SCHEMA_PATH_PREFIX": "/x"}
sys.modules["hostile"] = module
import django
django.setup()
from rest_framework.views import APIView
from drf_spectacular.renderers import OpenApiYamlRenderer
from executions.api.schema.generator import LedgerSchemaGenerator
assert APIView.parser_classes[0].__name__ == "FormParser"
sys.stdout.buffer.write(OpenApiYamlRenderer().render(LedgerSchemaGenerator().get_schema(public=True)))
"""
CLASSES = [name for name in DEFAULTS if name.startswith("DEFAULT_") and name.endswith(("_CLASS", "_CLASSES"))]


def views(patterns: Any) -> Any:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "cls"):
            yield pattern.callback.cls


def test_no_view_takes_a_class_from_the_settings_of_the_project() -> None:
    found = set(views(get_resolver().url_patterns))
    assert len(found) > 10
    for view in found:
        assert issubclass(view, LedgerView)
        for name in CLASSES:
            attribute = name.removeprefix("DEFAULT_").lower().replace("_handler", "")
            owner = next((base for base in view.__mro__ if attribute in vars(base)), None)
            assert attribute == "schema_class" or owner is None or owner.__module__.split(".")[0] != "rest_framework"


@pytest.mark.slow
def test_the_schema_is_the_same_in_a_hostile_project() -> None:
    rest = {**HOSTILE, "DEFAULT_CONTENT_NEGOTIATION_CLASS": DEFAULTS["DEFAULT_CONTENT_NEGOTIATION_CLASS"]}
    done = subprocess.run(
        [sys.executable, "-c", MODULE, json.dumps(rest)],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "hostile"},
        check=False,
    )
    assert done.stdout.decode() == (ROOT / "schema.yaml").read_text(), done.stderr.decode()


@pytest.fixture
def hostile(settings: Any) -> None:
    settings.REST_FRAMEWORK = HOSTILE
    settings.TIME_ZONE, settings.LANGUAGE_CODE = "Asia/Seoul", "ko"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "PageMiddleware" not in name]
    assert api_settings.DATETIME_FORMAT == "%d.%m.%Y"


@pytest.fixture
def run(owner: Any) -> WorkflowExecution:
    return WorkflowExecutionFactory(workflow__owner=owner)


@pytest.mark.usefixtures("hostile")
class TestResponses:
    def test_moments_are_in_utc_and_iso_8601(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        client = api(owner)
        shown = client.get(f"/api/v1/executions/{run.pk}/").json()
        assert shown["created_at"] == run.created_at.isoformat().replace("+00:00", "Z")
        assert client.get("/api/v1/executions/").json()["results"][0]["created_at"] == shown["created_at"]
        workflow = client.get(f"/api/v1/workflows/{run.workflow_id}/").json()
        assert workflow["updated_at"].endswith("Z")
        line = {"level": "info", "message": "한", "timestamp": "2026-11-23T09:00:00Z"}
        answer = client.post(f"/api/v1/executions/{run.pk}/logs/", line, format="json")
        assert (answer.status_code, answer.json()["timestamp"]) == (201, line["timestamp"])
        assert '"message":"한"' in answer.content.decode()

    def test_errors_are_problems_in_english(self, api: Any, owner: Any, run: WorkflowExecution) -> None:
        anonymous = APIClient().get("/api/v1/executions/")
        assert (anonymous.status_code, anonymous["Content-Type"]) == (401, "application/problem+json")
        assert anonymous.json()["detail"] == "Authentication credentials were not provided."
        answer = api(owner).post("/api/v1/executions/", {"workflow": str(run.workflow_id)}, format="json")
        assert [error["detail"] for error in answer.json()["errors"]] == ["This field is required."]
        assert api(owner).get("/api/v1/executions/?as=html").status_code == 400
        assert api(owner).get("/api/v1/nothing/").json()["code"] == "not_found"


@pytest.mark.urls(__name__)
def test_the_api_works_under_any_prefix(api: Any, owner: Any, run: WorkflowExecution, settings: Any) -> None:
    settings.LEDGERKIT = {}
    assert [is_api(address) for address in ("/some/ledger/x/", "/some/", "/api/v1/")] == [True, False, False]
    contents = api(owner).get("/some/ledger/").json()
    assert contents["executions"] == "http://testserver/some/ledger/executions/"
    assert api(owner).get(contents["executions"]).json()["results"][0]["id"] == str(run.pk)
    assert Client().get("/some/ledger/nothing/")["Content-Type"] == "application/problem+json"
    assert 'data-schema="/some/ledger/schema/"' in Client().get("/some/ledger/docs/").text
    assert all(name.startswith("/some/ledger/") for name in LedgerSchemaGenerator().get_schema(public=True)["paths"])
