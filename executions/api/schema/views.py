"""Public schema and docs: no data, no authentication."""

import json
from functools import cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import get_script_prefix
from django.utils.csp import CSP
from django.utils.decorators import method_decorator
from django.utils.encoding import force_str
from django.views.decorators.csp import csp_override
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ledgerkit.path_prefix import path_prefix
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.renderers import CompactJSONRenderer
from tokens.base_views import LedgerView

from .generator import LedgerSchemaGenerator
from .settings import SETTINGS

# The icons of Swagger UI's stylesheet are written into it.
DOCS_CSP = settings.SECURE_CSP | {"img-src": [CSP.SELF, "data:"]}


class PublicView(LedgerView):
    """Same response for every caller; errors are problem+json."""

    http_method_names = METHODS
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    schema = None

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if response.status_code >= 400:
            request.accepted_renderer, request.accepted_media_type = (
                CompactJSONRenderer(),
                CompactJSONRenderer.media_type,
            )
        return super().finalize_response(request, response, *args, **kwargs)


class SchemaView(PublicView):
    """The schema as YAML, or as JSON where `Accept` prefers it."""

    renderer_classes = [OpenApiYamlRenderer, OpenApiYamlRenderer2, OpenApiJsonRenderer, OpenApiJsonRenderer2]

    def get(self, request: Request) -> HttpResponse:
        # Not accepted_media_type: the client adds parameters to that as it likes.
        media_type = request.accepted_renderer.media_type
        return HttpResponse(_rendered_schema(media_type), content_type=media_type)


_one_at_a_time = Lock()


@method_decorator(csp_override(DOCS_CSP), name="dispatch")
class DocsView(PublicView):
    """Swagger UI, from our own static files."""

    renderer_classes = [TemplateHTMLRenderer]

    def get(self, request: Request) -> Response:
        return Response({"title": SETTINGS["TITLE"]}, template_name="api/docs.html")


def _rendered_schema(media_type: str) -> str:
    """Return the schema with the request's prefix. One thread renders at a time: drf-spectacular loads its extensions
    with the first schema, and fails if two threads do so."""
    with _one_at_a_time:
        schema = _render(media_type)
    prefix = get_script_prefix().rstrip("/")
    return _served_below(prefix, schema) if prefix else schema


@cache  # of each type of media
def _render(media_type: str) -> str:
    """Render the schema without a prefix, once in a process: it takes a second or two, and proxies may send many
    prefixes."""
    renderer = next(known for known in SchemaView.renderer_classes if known.media_type == media_type)
    with path_prefix("/"):
        return force_str(renderer().render(LedgerSchemaGenerator().get_schema(public=True), renderer_context={}))


def _served_below(prefix: str, schema: str) -> str:
    """Add the address of the API, from which paths of the schema count, as the last member."""
    server = json.dumps(prefix)  # in YAML too
    if schema.startswith("{"):
        return f'{schema.rstrip().removesuffix("}").rstrip()},\n    "servers": [{{"url": {server}}}]\n}}'
    return f"{schema}servers:\n- url: {server}\n"
